//! The functions that a query may call: a list of names, not everything that the library has.
//!
//! None reads a file or a network, none makes text or lists of a length that a number says. Functions
//! that put texts together are bounded by what would come out ([`bounded`]).

mod bounded;

use datafusion::execution::SessionStateDefaults;
use datafusion::logical_expr::{AggregateUDF, ScalarUDF, WindowUDF};
use std::sync::Arc;

pub(super) use bounded::ConcatPlanner;

/// Functions of one row whose result is no larger than what they are given.
const SCALAR: &[&str] = &[
    // conditions
    "coalesce",
    "nullif",
    "nvl",
    "nvl2",
    "greatest",
    "least",
    // numbers
    "abs",
    "ceil",
    "floor",
    "round",
    "trunc",
    "sqrt",
    "cbrt",
    "exp",
    "ln",
    "log",
    "log2",
    "log10",
    "power",
    "signum",
    "sin",
    "cos",
    "tan",
    "atan",
    "atan2",
    "degrees",
    "radians",
    "pi",
    "isnan",
    "iszero",
    "nanvl",
    "gcd",
    "lcm",
    // texts
    "lower",
    "upper",
    "btrim",
    "ltrim",
    "rtrim",
    "trim",
    "substr",
    "substring",
    "left",
    "right",
    "strpos",
    "position",
    "split_part",
    "starts_with",
    "ends_with",
    "contains",
    "character_length",
    "char_length",
    "length",
    "octet_length",
    "bit_length",
    "reverse",
    "initcap",
    "ascii",
    "levenshtein",
    "regexp_like",
    "regexp_match",
    "regexp_count",
    "regexp_instr",
    "to_hex",
    // times
    "date_part",
    "date_trunc",
    "date_bin",
    "extract",
    "now",
    "current_timestamp",
    "current_date",
    "to_timestamp",
    "to_timestamp_seconds",
    "to_timestamp_millis",
    "to_timestamp_micros",
    "to_unixtime",
    "to_date",
    "make_date",
    "from_unixtime",
    "to_char",
    "to_local_time",
    // types and structs
    "arrow_typeof",
    "get_field",
    // lists
    "array_length",
    "cardinality",
    "array_has",
    "array_has_any",
    "array_has_all",
    "array_element",
    "array_position",
    "array_max",
    "array_min",
    "empty",
];

/// Functions that may make more of what they are given: bounded.
const GROWING: &[&str] = &[
    "concat",
    "concat_ws",
    "replace",
    "regexp_replace",
    "array_to_string",
    "translate",
];

const AGGREGATES: &[&str] = &[
    "count",
    "sum",
    "min",
    "max",
    "avg",
    "mean",
    "median",
    "stddev",
    "stddev_pop",
    "stddev_samp",
    "var",
    "var_pop",
    "var_samp",
    "variance",
    "covar_pop",
    "covar_samp",
    "corr",
    "bool_and",
    "bool_or",
    "approx_distinct",
    "approx_percentile_cont",
    "approx_median",
    "first_value",
    "last_value",
    "nth_value",
    "grouping",
    "regr_slope",
    "regr_intercept",
    "regr_r2",
    "regr_count",
    "array_agg",
    "string_agg",
    "bit_and",
    "bit_or",
];

const WINDOWS: &[&str] = &[
    "row_number",
    "rank",
    "dense_rank",
    "percent_rank",
    "cume_dist",
    "ntile",
    "lag",
    "lead",
    "first_value",
    "last_value",
    "nth_value",
];

pub(super) fn scalar() -> Vec<Arc<ScalarUDF>> {
    let all = SessionStateDefaults::default_scalar_functions();
    let chosen = all.into_iter().filter_map(|own| {
        if SCALAR.contains(&own.name()) {
            return Some(own);
        }
        let grows = GROWING.contains(&own.name());
        grows.then(|| bounded::bounded(own))
    });
    chosen.collect()
}

pub(super) fn aggregates() -> Vec<Arc<AggregateUDF>> {
    let all = SessionStateDefaults::default_aggregate_functions();
    let chosen = all
        .into_iter()
        .filter(|own| AGGREGATES.contains(&own.name()))
        .map(|own| match own.name() {
            "sum" => super::sum::sum(own),
            "avg" => super::mean::mean(own),
            _ => own,
        });
    chosen.chain(super::quantile::functions()).collect()
}

pub(super) fn windows() -> Vec<Arc<WindowUDF>> {
    let all = SessionStateDefaults::default_window_functions();
    all.into_iter()
        .filter(|own| WINDOWS.contains(&own.name()))
        .collect()
}
