//! Expressions in the words of each engine.

use super::Engine;
use super::expr::{Expr, Function, Operator, Owner};

impl Engine {
    /// The expression as this engine writes it.
    pub(super) fn write(self, expr: &Expr) -> String {
        match expr {
            Expr::Column(owner, name) => self.column(*owner, name),
            Expr::Number(number) => (*number).to_owned(),
            Expr::Power(power) => format!("1e{power}"),
            Expr::Call(function, arguments) => {
                let arguments: Vec<String> = arguments.iter().map(|own| self.write(own)).collect();
                self.call(*function, &arguments)
            }
            Expr::Binary(operator, first, second) => {
                let tight = matches!(operator, Operator::Times | Operator::Over);
                let part = |own: &Expr| match own {
                    Expr::Binary(Operator::Plus | Operator::Minus, ..) if tight => {
                        format!("({})", self.write(own))
                    }
                    Expr::Binary(..) if *operator == Operator::Minus => {
                        format!("({})", self.write(own))
                    }
                    own => self.write(own),
                };
                format!("{} {} {}", part(first), operator.sign(), part(second))
            }
            Expr::Where(known, positive, value) => {
                self.condition(known, positive.as_deref(), value)
            }
        }
    }

    fn column(self, owner: Owner, name: &str) -> String {
        match (self, owner) {
            (Self::Polars, Owner::Section) => {
                format!("pl.col(\"sections\").struct.field(\"{name}\")")
            }
            (Self::Polars, _) => format!("pl.col(\"{name}\")"),
            (Self::ClickHouse, Owner::Section) => format!("tupleElement(own, '{name}')"),
            (_, Owner::Section) => format!("own['{name}']"),
            (_, Owner::Row) => format!("s.{name}"),
            (_, Owner::Job) => format!("j.{name}"),
        }
    }

    fn call(self, function: Function, arguments: &[String]) -> String {
        let all = arguments.join(", ");
        if self == Self::Polars {
            return polars(function, &all);
        }
        match (function, self) {
            (Function::Double, Self::ClickHouse) => format!("toFloat64({all})"),
            (Function::Whole, Self::ClickHouse) => format!("toInt64({all})"),
            (Function::Double, _) => format!("cast({all} as double)"),
            (Function::Whole, _) => format!("cast({all} as bigint)"),
            (Function::Micros, Self::DuckDb) => format!("epoch_us({all})"),
            (Function::Micros, Self::Spark) => format!("unix_micros({all})"),
            (Function::Micros, Self::ClickHouse) => format!("toUnixTimestamp64Micro({all})"),
            (Function::Micros, _) => {
                let utc = "'Timestamp(Microsecond, Some(\"UTC\"))'";
                format!("arrow_cast(arrow_cast({all}, {utc}), 'Int64')")
            }
            (Function::Floor, _) => format!("floor({all})"),
            (Function::Round, _) => format!("round({all})"),
            (Function::Least, _) => format!("least({all})"),
            (Function::Greatest, _) => format!("greatest({all})"),
        }
    }

    fn condition(self, known: &[Expr], positive: Option<&Expr>, value: &Expr) -> String {
        let (is_there, above, and) = match self {
            Self::Polars => (".is_not_null()", "0", " & "),
            _ => (" is not null", "0", " and "),
        };
        let known = known
            .iter()
            .map(|own| format!("{}{is_there}", self.write(own)));
        let positive = positive.map(|own| match self {
            Self::Polars => format!("({} > {above})", self.write(own)),
            _ => format!("{} > {above}", self.write(own)),
        });
        let all: Vec<String> = known.chain(positive).collect();
        let (all, value) = (all.join(and), self.write(value));
        match self {
            Self::Polars => format!("pl.when({all}).then({value})"),
            _ => format!("case when {all} then {value} end"),
        }
    }
}

fn polars(function: Function, arguments: &str) -> String {
    match function {
        Function::Double => format!("({arguments}).cast(pl.Float64)"),
        Function::Whole => format!("({arguments}).cast(pl.Int64)"),
        Function::Micros => format!("({arguments}).dt.epoch(\"us\")"),
        Function::Floor => format!("({arguments}).floor()"),
        Function::Round => format!("({arguments}).round()"),
        Function::Least => format!("pl.min_horizontal({arguments})"),
        Function::Greatest => format!("pl.max_horizontal({arguments})"),
    }
}
