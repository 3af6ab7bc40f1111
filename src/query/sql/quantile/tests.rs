//! The aggregates against a naive reference, however the rows come and are merged.

use super::groups::{Ask, QuantileGroups};
use datafusion::arrow::array::{
    Array as _, ArrayRef, AsArray as _, BooleanArray, Decimal128Array, Float64Array, Int64Array,
};
use datafusion::arrow::datatypes::{DataType, Float64Type, Int64Type};
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};
use proptest::prelude::*;
use std::sync::Arc;

/// The smallest value at which the accumulated weight reaches the share.
fn reference<T: Copy>(
    mut sorted: Vec<(T, u64)>,
    share: u32,
    less: fn(&T, &T) -> std::cmp::Ordering,
) -> Option<T> {
    sorted.sort_by(|a, b| less(&a.0, &b.0));
    let whole: u128 = sorted.iter().map(|(_, weight)| u128::from(*weight)).sum();
    let mut reached = 0u128;
    sorted.iter().find_map(|(value, weight)| {
        reached += u128::from(*weight);
        (reached * 1_000_000_000 >= whole * u128::from(share)).then_some(*value)
    })
}

/// Feeds rows in parts to several accumulators, hands their states on, and asks the last one.
fn answer(
    ask: &Ask,
    columns: &[ArrayRef],
    groups: &[usize],
    filter: Option<&BooleanArray>,
    parts: usize,
) -> ArrayRef {
    let total = groups.iter().max().map_or(1, |most| most + 1);
    let mut last = QuantileGroups::new(ask.clone());
    let rows = groups.len();
    let step = rows.div_ceil(parts).max(1);
    for (number, start) in (0..rows).step_by(step).enumerate() {
        let len = step.min(rows - start);
        let own: Vec<ArrayRef> = columns
            .iter()
            .map(|column| column.slice(start, len))
            .collect();
        let filter = filter.map(|filter| filter.slice(start, len));
        let indices = &groups[start..start + len];
        if number % 3 == 2 {
            let states = last.convert_to_state(&own, filter.as_ref()).unwrap();
            GroupsAccumulator::merge_batch(&mut last, &states, indices, total).unwrap();
            continue;
        }
        let mut partial = QuantileGroups::new(ask.clone());
        for row in 0..len {
            // Row by row and all at once must be the same.
            let (from, to) = if number % 3 == 0 { (row, 1) } else { (0, len) };
            let own: Vec<ArrayRef> = own.iter().map(|column| column.slice(from, to)).collect();
            let filter = filter.as_ref().map(|filter| filter.slice(from, to));
            GroupsAccumulator::update_batch(
                &mut partial,
                &own,
                &indices[from..from + to],
                filter.as_ref(),
                total,
            )
            .unwrap();
            if to > 1 || len == 1 {
                break;
            }
        }
        let states = GroupsAccumulator::state(&mut partial, EmitTo::All).unwrap();
        assert!(GroupsAccumulator::size(&partial) < 1 << 20);
        let all: Vec<usize> = (0..total).collect();
        GroupsAccumulator::merge_batch(&mut last, &states, &all, total).unwrap();
    }
    last.update_batch_empty(columns, total);
    GroupsAccumulator::evaluate(&mut last, EmitTo::All).unwrap()
}

impl QuantileGroups {
    /// Groups exist though no row fell into them.
    fn update_batch_empty(&mut self, columns: &[ArrayRef], total: usize) {
        let none: Vec<ArrayRef> = columns.iter().map(|column| column.slice(0, 0)).collect();
        GroupsAccumulator::update_batch(self, &none, &[], None, total).unwrap();
    }
}

fn values() -> impl Strategy<Value = i64> {
    prop_oneof![
        3 => 0i64..100,
        3 => (0i64..5_000_000).prop_map(|pages| pages * 4_096),
        1 => any::<i64>(),
        1 => prop::sample::select(vec![i64::MIN, i64::MAX, 0, -1]),
    ]
}

fn floats() -> impl Strategy<Value = f64> {
    prop_oneof![
        3 => (0i64..100_000).prop_map(|cell| crate::num::to_f64(cell) / 10_000.0),
        3 => (-50i64..1_000_000_000).prop_map(crate::num::to_f64),
        1 => any::<f64>().prop_filter("NaN has its own test", |float| !float.is_nan()),
    ]
}

fn shares() -> impl Strategy<Value = u32> {
    prop_oneof![
        prop::sample::select(vec![
            0,
            500_000_000,
            950_000_000,
            990_000_000,
            1_000_000_000
        ]),
        0u32..=1_000_000_000,
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn integers_are_exact(
        rows in prop::collection::vec((prop::option::weighted(0.9, values()), 0usize..4, prop::option::weighted(0.9, any::<bool>())), 0..400),
        share in shares(), parts in 1usize..7, filtered: bool,
    ) {
        let column: ArrayRef = Arc::new(rows.iter().map(|row| row.0).collect::<Int64Array>());
        let groups: Vec<usize> = rows.iter().map(|row| row.1).collect();
        let filter: BooleanArray = rows.iter().map(|row| row.2).collect();
        let ask = Ask { kind: DataType::Int64, share, weighted: false };
        let found = answer(&ask, &[column], &groups, filtered.then_some(&filter), parts);
        let found = found.as_primitive::<Int64Type>();
        for group in 0..found.len() {
            let own = rows.iter().filter(|row| row.1 == group && (!filtered || row.2 == Some(true)));
            let own = own.filter_map(|row| Some((row.0?, 1))).collect();
            let expected = reference(own, share, Ord::cmp);
            prop_assert_eq!(found.is_valid(group).then(|| found.value(group)), expected);
        }
    }

    #[test]
    fn floats_are_exact(rows in prop::collection::vec((floats(), 0usize..3), 1..400), share in shares(), parts in 1usize..7) {
        let column: ArrayRef = Arc::new(rows.iter().map(|row| Some(row.0)).collect::<Float64Array>());
        let groups: Vec<usize> = rows.iter().map(|row| row.1).collect();
        let ask = Ask { kind: DataType::Float64, share, weighted: false };
        let found = answer(&ask, &[column], &groups, None, parts);
        let found = found.as_primitive::<Float64Type>();
        for group in 0..found.len() {
            let own = rows.iter().filter(|row| row.1 == group).map(|row| (row.0, 1)).collect();
            let expected = reference(own, share, |a, b| a.partial_cmp(b).unwrap());
            prop_assert_eq!(found.is_valid(group).then(|| found.value(group)), expected);
        }
    }

    #[test]
    fn weights_count(rows in prop::collection::vec((values(), -3i64..20_000, 0usize..3), 1..400), share in shares(), parts in 1usize..7) {
        let column: ArrayRef = Arc::new(rows.iter().map(|row| Some(row.0)).collect::<Int64Array>());
        let weights: ArrayRef = Arc::new(rows.iter().map(|row| Some(row.1)).collect::<Int64Array>());
        let groups: Vec<usize> = rows.iter().map(|row| row.2).collect();
        let ask = Ask { kind: DataType::Int64, share, weighted: true };
        let found = answer(&ask, &[column, weights], &groups, None, parts);
        let found = found.as_primitive::<Int64Type>();
        for group in 0..found.len() {
            let own = rows.iter().filter(|row| row.2 == group);
            let own = own.filter_map(|row| Some((row.0, u64::try_from(row.1).ok().filter(|w| *w > 0)?))).collect();
            prop_assert_eq!(found.is_valid(group).then(|| found.value(group)), reference(own, share, Ord::cmp));
        }
    }

    #[test]
    fn hostile_states_are_errors_or_values(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
        let mut values = super::values::Values::default();
        if values.merge(bytes.into()).is_some() {
            let _outcome = values.quantile(500_000_000);
        }
    }
}

/// Many values of one group: packed, counted, and looked for in passes.
#[test]
fn many_values_take_few_bytes_and_stay_exact() {
    let cores = |row: i64| row * 7_919 % 40_000;
    let memory = |row: i64| (row * 7_919 % 4_000_000) * 4_096;
    let keys = |row: i64| row.wrapping_mul(0x9e37_79b9_7f4a_7c15_u64.cast_signed());
    type Value<'a> = &'a dyn Fn(i64) -> i64;
    let cases: [(&str, Value<'_>, usize); 3] = [
        ("cores", &cores, 400_000),
        ("memory", &memory, 4_000_000),
        ("keys", &keys, 13_000_000),
    ];
    for (name, value, most_bytes) in cases {
        let rows = 1_000_000;
        let ask = Ask {
            kind: DataType::Int64,
            share: 950_000_000,
            weighted: false,
        };
        let mut groups = QuantileGroups::new(ask);
        let mut all: Vec<i64> = (0..rows).map(value).collect();
        for part in all.chunks(8_192) {
            let column: ArrayRef = Arc::new(Int64Array::from(part.to_vec()));
            GroupsAccumulator::update_batch(&mut groups, &[column], &vec![0; part.len()], None, 1)
                .unwrap();
        }
        let bytes = GroupsAccumulator::size(&groups);
        assert!(bytes < most_bytes, "{name}: {bytes} bytes");
        let found = GroupsAccumulator::evaluate(&mut groups, EmitTo::All).unwrap();
        all.sort_unstable();
        assert_eq!(
            found.as_primitive::<Int64Type>().value(0),
            all[949_999],
            "{name}"
        );
    }
}

/// More values than are held before the groups take theirs, in short runs, some with weights.
#[test]
fn many_values_of_many_groups_stay_exact() {
    let rows = 100_000i64;
    let value = |row: i64| (row * 7_919 % 1_000_003) * 4_096;
    let group = |row: i64| usize::try_from(row / 3 % 97).unwrap();
    for weighted in [false, true] {
        let ask = Ask {
            kind: DataType::Int64,
            share: 950_000_000,
            weighted,
        };
        let mut groups = QuantileGroups::new(ask.clone());
        let all: Vec<i64> = (0..rows).collect();
        for part in all.chunks(8_192) {
            let values: Int64Array = part.iter().map(|row| Some(value(*row))).collect();
            let weights: Int64Array = part.iter().map(|row| Some(row % 7)).collect();
            let own: Vec<usize> = part.iter().map(|row| group(*row)).collect();
            let columns: [ArrayRef; 2] = [Arc::new(values), Arc::new(weights)];
            GroupsAccumulator::update_batch(&mut groups, &columns, &own, None, 97).unwrap();
        }
        let found = GroupsAccumulator::evaluate(&mut groups, EmitTo::All).unwrap();
        let found = found.as_primitive::<Int64Type>();
        for number in 0..97 {
            let own = all.iter().filter(|row| group(**row) == number);
            let own = own.map(|row| {
                let weight = u64::try_from(row % 7).unwrap();
                (value(*row), if weighted { weight } else { 1 })
            });
            let own = own.filter(|(_, weight)| *weight > 0).collect();
            let expected = reference(own, ask.share, Ord::cmp);
            assert_eq!(Some(found.value(number)), expected, "group {number}");
        }
    }
}

#[test]
fn decimals_keep_their_type_and_nan_is_last() {
    let decimals = Decimal128Array::from(vec![Some(150), None, Some(-25)]);
    let decimals = decimals.with_precision_and_scale(9, 2).unwrap();
    let kind = decimals.data_type().clone();
    let ask = Ask {
        kind: kind.clone(),
        share: 500_000_000,
        weighted: false,
    };
    let found = answer(&ask, &[Arc::new(decimals)], &[0, 0, 0], None, 1);
    assert_eq!(found.data_type(), &kind);
    assert_eq!(
        found
            .as_primitive::<datafusion::arrow::datatypes::Decimal128Type>()
            .value(0),
        -25
    );
    let floats: ArrayRef = Arc::new(Float64Array::from(vec![f64::NAN, f64::INFINITY, 0.5]));
    for (share, expected) in [(300_000_000, 0.5), (600_000_000, f64::INFINITY)] {
        let ask = Ask {
            kind: DataType::Float64,
            share,
            weighted: false,
        };
        let found = answer(&ask, &[Arc::clone(&floats)], &[0, 0, 0], None, 1);
        assert_eq!(found.as_primitive::<Float64Type>().value(0), expected);
    }
    let ask = Ask {
        kind: DataType::Float64,
        share: 1_000_000_000,
        weighted: false,
    };
    let found = answer(&ask, &[floats], &[0, 0, 0], None, 1);
    assert!(found.as_primitive::<Float64Type>().value(0).is_nan());
}
