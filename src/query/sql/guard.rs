//! What a query may be: one SELECT, WITH, VALUES or EXPLAIN of one, checked on its syntax tree.
//!
//! Beside this check a query has nothing to do harm with: its session's catalog holds the tables of one
//! scope, no files, no URLs, no functions that reach out, and a plan that is no query is refused
//! again ([`super::session`]).

use crate::error::{Error, Result};
use crate::limits;
use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion::sql::sqlparser::ast::{
    Ident, Query, SetExpr, Statement as Ast, TableAlias, TableFactor, Visit, VisitMut, Visitor,
    VisitorMut,
};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};
use std::convert::Infallible;
use std::ops::ControlFlow;

fn refused(what: &str) -> Error {
    let message = format!(
        "{what}; a query is one SELECT (also WITH, VALUES, or EXPLAIN in front), which reads and changes nothing"
    );
    Error::invalid("sql_not_a_query", message)
}

/// The statement of a query.
///
/// # Errors
/// `Invalid` if it is too long, no SQL, or anything but one query.
pub(super) fn parse(sql: &str) -> Result<Statement> {
    if sql.len() > limits::SQL_BYTES_MAX {
        let message = format!(
            "a query has at most {} bytes, this one has {}",
            limits::SQL_BYTES_MAX,
            sql.len()
        );
        return Err(Error::invalid("sql_too_long", message));
    }
    check_operators(sql)?;
    let parser = DFParserBuilder::new(sql)
        .with_dialect(&GenericDialect {})
        .with_recursion_limit(limits::SQL_NESTING_MAX)
        .build();
    let statements = parser.and_then(|mut parser| parser.parse_statements());
    let mut statements = statements.map_err(super::failure::of)?;
    match (statements.pop_front(), statements.is_empty()) {
        (Some(mut statement), true) => {
            check(&mut statement)?;
            Ok(statement)
        }
        (None, _) => Err(refused("there is no statement")),
        (Some(_), false) => Err(refused("there is more than one statement")),
    }
}

/// A chain of operators is as deep as it is long, for everyone who walks the tree; the parser counts
/// parentheses only.
fn check_operators(sql: &str) -> Result<()> {
    let Ok(tokens) = Tokenizer::new(&GenericDialect {}, sql).tokenize() else {
        // The parser says what is wrong with it.
        return Ok(());
    };
    let operators = tokens.iter().filter(|token| is_operator(token)).count();
    if operators <= limits::SQL_OPERATORS_MAX {
        return Ok(());
    }
    let message = format!(
        "a query has at most {} operators, this one has {operators}; use IN for lists of values",
        limits::SQL_OPERATORS_MAX
    );
    Err(Error::invalid("sql_too_long", message))
}

fn is_operator(token: &Token) -> bool {
    match token {
        Token::Word(word) => matches!(
            word.keyword,
            Keyword::AND
                | Keyword::OR
                | Keyword::NOT
                | Keyword::IS
                | Keyword::LIKE
                | Keyword::ILIKE
                | Keyword::BETWEEN
                | Keyword::UNION
                | Keyword::INTERSECT
                | Keyword::EXCEPT
                | Keyword::JOIN
        ),
        Token::Number(..)
        | Token::SingleQuotedString(_)
        | Token::DoubleQuotedString(_)
        | Token::Whitespace(_)
        | Token::Comma
        | Token::Period
        | Token::LParen
        | Token::RParen
        | Token::SemiColon => false,
        _ => true,
    }
}

fn check(statement: &mut Statement) -> Result<()> {
    match statement {
        Statement::Statement(ast) => check_ast(ast),
        Statement::Explain(explain) => match &mut *explain.statement {
            Statement::Statement(ast) => check_ast(ast),
            _ => Err(refused("EXPLAIN is of a query")),
        },
        _ => Err(refused("this statement is no query")),
    }
}

fn check_ast(ast: &mut Ast) -> Result<()> {
    if !matches!(ast, Ast::Query(_)) {
        return Err(refused("this statement is no query"));
    }
    match Visit::visit(ast, &mut Inside { tables: 0 }) {
        ControlFlow::Continue(()) => {
            let ControlFlow::Continue(()) = VisitMut::visit(ast, &mut Names { given: 0 });
            Ok(())
        }
        ControlFlow::Break(what) => Err(refused(what)),
    }
}

/// Names every query in FROM that has none. DataFusion 55.2 takes a projection for the one below it if
/// both are spelled alike, and without a name in between `a + 1 as a` is spelled alike at every level:
/// three of them would add 2.
struct Names {
    given: usize,
}

impl VisitorMut for Names {
    type Break = Infallible;

    fn pre_visit_table_factor(&mut self, table: &mut TableFactor) -> ControlFlow<Infallible> {
        if let TableFactor::Derived { alias, .. } = table
            && alias.is_none()
        {
            self.given += 1;
            *alias = Some(TableAlias {
                explicit: true,
                name: Ident::new(format!("unnamed_{}", self.given)),
                columns: Vec::new(),
                at: None,
            });
        }
        ControlFlow::Continue(())
    }
}

/// Looks at every query inside of a query.
struct Inside {
    tables: usize,
}

impl Visitor for Inside {
    type Break = &'static str;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<&'static str> {
        if !query.locks.is_empty() {
            return ControlFlow::Break("a query locks nothing (FOR UPDATE)");
        }
        if query.with.as_ref().is_some_and(|with| with.recursive) {
            return ControlFlow::Break("a query does not call itself (WITH RECURSIVE)");
        }
        body(&query.body)
    }

    fn pre_visit_table_factor(&mut self, table: &TableFactor) -> ControlFlow<&'static str> {
        self.tables += 1;
        if self.tables > limits::SQL_TABLES_MAX {
            return ControlFlow::Break("a query joins not so many tables");
        }
        match table {
            TableFactor::Table { args: None, .. }
            | TableFactor::Derived { .. }
            | TableFactor::UNNEST { .. }
            | TableFactor::NestedJoin { .. } => ControlFlow::Continue(()),
            _ => ControlFlow::Break("a query reads tables, and no functions in their place"),
        }
    }

    fn pre_visit_statement(&mut self, statement: &Ast) -> ControlFlow<&'static str> {
        match statement {
            Ast::Query(_) => ControlFlow::Continue(()),
            _ => ControlFlow::Break("this statement is no query"),
        }
    }
}

fn body(body: &SetExpr) -> ControlFlow<&'static str> {
    match body {
        SetExpr::Select(select) if select.into.is_some() => {
            ControlFlow::Break("a query writes nothing (SELECT INTO)")
        }
        SetExpr::Select(_) | SetExpr::Query(_) | SetExpr::Values(_) => ControlFlow::Continue(()),
        SetExpr::SetOperation { left, right, .. } => {
            self::body(left)?;
            self::body(right)
        }
        _ => ControlFlow::Break("a query changes nothing"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_pass_and_nothing_else() {
        for sql in [
            "select 1",
            "with a as (select 1) select * from a union all select 2;",
            "values (1), (2)",
            "explain select 1",
            "explain analyze select 1",
            "select * from (select 1) join jobs on true where exists (select 1)",
            "select * from jobs, unnest(runner_tags)",
        ] {
            assert!(parse(sql).is_ok(), "{sql}");
        }
        for sql in [
            "",
            ";",
            "select 1; select 2",
            "drop table jobs",
            "create table a as select 1",
            "create external table a stored as csv location '/etc/passwd'",
            "copy jobs to '/tmp/x.csv'",
            "copy (select 1) to '/tmp/x.csv'",
            "insert into jobs select * from jobs",
            "with a as (insert into jobs values (1) returning *) select * from a",
            "update jobs set name = 'x'",
            "delete from jobs",
            "set datafusion.execution.batch_size = 1",
            "reset datafusion.execution.batch_size",
            "show all",
            "show tables",
            "prepare a as select 1",
            "execute a",
            "begin",
            "select 1 into x",
            "select * from jobs for update",
            "explain drop table jobs",
            "explain copy jobs to '/tmp/x'",
            "select * from generate_series(1, 10)",
            "select * from table(range(1, 10))",
            "with recursive a as (select 1 union all select 1 from a) select * from a",
            "truncate table jobs",
            "attach 'x'",
            "install httpfs",
            "call x()",
            "use x",
        ] {
            assert!(parse(sql).is_err(), "{sql}");
        }
        let long = format!("select '{}'", "x".repeat(limits::SQL_BYTES_MAX));
        assert_eq!(parse(&long).unwrap_err().code(), "sql_too_long");
        for chain in [" + 1", " and 1 = 1", " union all select 1", " or not true"] {
            let chain = format!("select 1{}", chain.repeat(5_000));
            assert_eq!(parse(&chain).unwrap_err().code(), "sql_too_long");
        }
        let tables = format!("select 1 from jobs{}", ", jobs".repeat(100));
        assert_eq!(parse(&tables).unwrap_err().code(), "sql_not_a_query");
        let list = format!("select 1 in (1{})", ", 1".repeat(5_000));
        assert!(parse(&list).is_ok());
        let deep = format!("select {}1{}", "(".repeat(10_000), ")".repeat(10_000));
        assert!(parse(&deep).is_err());
    }
}
