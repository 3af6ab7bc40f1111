//! How a cell of a view is made, as an expression that every engine has words for.
//!
//! Everything is computed in doubles that hold whole numbers (units of a column's last digit), so that
//! a rate is rounded as the service rounds it: half up, exactly, as long as its numerator is below
//! 2^53.

use crate::model::graph::{GraphMetric, Origin};

/// An expression.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Expr {
    /// A column of the table that is read, or of the job beside a sample.
    Column(Owner, String),
    /// A number, as it is written.
    Number(&'static str),
    /// A power of ten.
    Power(i8),
    Call(Function, Vec<Expr>),
    Binary(Operator, Box<Expr>, Box<Expr>),
    /// Null unless the first are there and the second, if there is one, is above 0.
    Where(Vec<Expr>, Option<Box<Expr>>, Box<Expr>),
}

/// Whose column it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    /// A row of the table that the view is made from.
    Row,
    /// The job of a sample.
    Job,
    /// A section of a job.
    Section,
}

/// A function of one or two arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    /// As a float of 64 bits.
    Double,
    /// As a whole number of 64 bits.
    Whole,
    /// A time as microseconds since the epoch.
    Micros,
    Floor,
    Round,
    Least,
    Greatest,
}

/// An operator on numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Plus,
    Minus,
    Times,
    Over,
}

impl Operator {
    pub(super) fn sign(self) -> &'static str {
        match self {
            Self::Plus => "+",
            Self::Minus => "-",
            Self::Times => "*",
            Self::Over => "/",
        }
    }
}

pub(super) fn column(owner: Owner, name: &str) -> Expr {
    Expr::Column(owner, name.to_owned())
}

pub(super) fn call(function: Function, argument: Expr) -> Expr {
    Expr::Call(function, vec![argument])
}

fn pair(function: Function, first: Expr, second: Expr) -> Expr {
    Expr::Call(function, vec![first, second])
}

fn binary(first: Expr, operator: Operator, second: Expr) -> Expr {
    Expr::Binary(operator, Box::new(first), Box::new(second))
}

pub(super) fn double(expr: Expr) -> Expr {
    call(Function::Double, expr)
}

fn micros(owner: Owner, name: &str) -> Expr {
    call(Function::Micros, column(owner, name))
}

/// A number of `scale` digits behind the point as a whole number of the last of them.
fn units(expr: Expr, scale: i8) -> Expr {
    if scale == 0 {
        return double(expr);
    }
    let shifted = binary(double(expr), Operator::Times, Expr::Power(scale));
    call(Function::Round, shifted)
}

/// The sum of columns of one scale in units of the last digit.
fn sum_of_units(columns: &[Expr], scale: i8) -> Option<Expr> {
    columns
        .iter()
        .map(|own| units(own.clone(), scale))
        .reduce(|sum, own| binary(sum, Operator::Plus, own))
}

/// The sum of two numbers of one scale.
pub(super) fn sum(first: Expr, second: Expr, scale: i8) -> Option<Expr> {
    let units = sum_of_units(&[first, second], scale)?;
    Some(binary(units, Operator::Over, Expr::Power(scale)))
}

/// Amounts per millisecond as the metric's rate per second.
fn per_second(
    metric: &GraphMetric,
    amounts: &[Expr],
    scale: i8,
    milliseconds: Expr,
) -> Option<Expr> {
    let digits = metric.cell.scale();
    let raised = binary(
        sum_of_units(amounts, scale)?,
        Operator::Times,
        Expr::Power(3 + digits - scale),
    );
    let quotient = binary(raised, Operator::Over, double(milliseconds.clone()));
    let rounded = call(
        Function::Floor,
        binary(quotient, Operator::Plus, Expr::Number("5e-1")),
    );
    let rate = if digits == 0 {
        double(rounded)
    } else {
        binary(double(rounded), Operator::Over, Expr::Power(digits))
    };
    Some(Expr::Where(
        amounts.to_vec(),
        Some(Box::new(milliseconds)),
        Box::new(rate),
    ))
}

/// The rate of a sample.
pub(super) fn rate(metric: &GraphMetric) -> Option<Expr> {
    let Origin::Rate(columns) = metric.origin else {
        return None;
    };
    let amounts: Vec<Expr> = columns
        .iter()
        .map(|own| column(Owner::Row, own.name()))
        .collect();
    let scale = columns.first()?.spec().cell.scale();
    per_second(metric, &amounts, scale, column(Owner::Row, "interval_ms"))
}

/// The mean rate of a job.
pub(super) fn mean_rate(metric: &GraphMetric) -> Option<Expr> {
    let Origin::Rate(columns) = metric.origin else {
        return None;
    };
    let amounts: Vec<Expr> = columns
        .iter()
        .map(|own| column(Owner::Row, &format!("{}_total", own.name())))
        .collect();
    let scale = columns.first()?.spec().cell.scale();
    let covered = units(column(Owner::Row, "covered_seconds"), 3);
    per_second(metric, &amounts, scale, covered)
}

/// Milliseconds that a sample's interval shares with its job's window.
pub(super) fn overlap_ms() -> Expr {
    let ts = || micros(Owner::Row, "ts");
    let interval = call(Function::Whole, column(Owner::Row, "interval_ms"));
    let began = binary(
        ts(),
        Operator::Minus,
        binary(interval, Operator::Times, Expr::Number("1000")),
    );
    let from = pair(Function::Greatest, began, micros(Owner::Job, "started_at"));
    let to = pair(Function::Least, ts(), micros(Owner::Job, "finished_at"));
    let shared = pair(
        Function::Greatest,
        Expr::Number("0"),
        binary(to, Operator::Minus, from),
    );
    // Times are whole milliseconds.
    let milliseconds = binary(double(shared), Operator::Over, Expr::Power(3));
    let known = [
        (Owner::Row, "interval_ms"),
        (Owner::Job, "started_at"),
        (Owner::Job, "finished_at"),
    ];
    Expr::Where(
        known.map(|(owner, name)| column(owner, name)).to_vec(),
        None,
        Box::new(call(Function::Whole, milliseconds)),
    )
}

/// The same as a part of the interval.
pub(super) fn share() -> Expr {
    let interval = column(Owner::Row, "interval_ms");
    let share = binary(
        double(overlap_ms()),
        Operator::Over,
        double(interval.clone()),
    );
    Expr::Where(Vec::new(), Some(Box::new(interval)), Box::new(share))
}

/// Seconds from one time to another.
pub(super) fn between(owner: Owner, from: &str, to: &str) -> Expr {
    let length = binary(micros(owner, to), Operator::Minus, micros(owner, from));
    binary(double(length), Operator::Over, Expr::Power(6))
}
