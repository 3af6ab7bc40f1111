//! Usage inside a window: the one function behind totals, sections, summaries and trends.
//!
//! `usage = sum over rows of increment x overlap / interval`, which equals linear interpolation of
//! the counter (design section 5, "Rows"). Exact in integers: only the result is rounded, half away
//! from zero, to the column's scale.

use super::metric::Column;
use super::profile::{Gap, Profile};
use crate::num;
use crate::time::TimeRange;

/// An exact sum of `amount x overlap / interval` terms. Terms that are whole need no fraction, so at
/// most the rows at the window's two edges (and a cut overflow) ever multiply the denominator.
#[derive(Debug, Clone, Copy)]
struct ExactSum {
    whole: i128,
    numerator: i128,
    denominator: i128,
}

impl ExactSum {
    const ZERO: Self = Self {
        whole: 0,
        numerator: 0,
        denominator: 1,
    };

    fn add(&mut self, amount: i64, overlap_ms: i64, interval_ms: i64) {
        if overlap_ms == interval_ms {
            self.whole += i128::from(amount);
            return;
        }
        let product = i128::from(amount) * i128::from(overlap_ms);
        let interval = i128::from(interval_ms.max(1));
        self.whole += product.div_euclid(interval);
        let rest = product.rem_euclid(interval);
        let crossed = self
            .numerator
            .checked_mul(interval)
            .zip(rest.checked_mul(self.denominator))
            .and_then(|(left, right)| left.checked_add(right))
            .zip(self.denominator.checked_mul(interval));
        match crossed {
            Some((numerator, denominator)) => {
                self.whole += numerator.div_euclid(denominator);
                self.numerator = numerator.rem_euclid(denominator);
                self.denominator = denominator;
            }
            // More than four cut rows of month-long intervals: round this one term.
            None => self.whole += num::div_round(rest, interval),
        }
    }

    fn rounded(self) -> Option<i64> {
        num::narrow(self.whole + num::div_round(self.numerator, self.denominator))
    }
}

/// Usage of a counter column inside `window`, in cell units.
///
/// `gaps` are the job's: an entry of this column with an amount counts by its own range. `None` if
/// nothing measured touches the window.
#[must_use]
pub fn total(profile: &Profile, column: Column, window: TimeRange, gaps: &[Gap]) -> Option<i64> {
    let mut sum = ExactSum::ZERO;
    let mut seen = false;
    for (interval, cell) in profile
        .intervals()
        .zip(profile.column(column).unwrap_or_default())
    {
        let (Some(interval), Some(cell)) = (interval, *cell) else {
            continue;
        };
        let overlap = interval.overlap_ms(window);
        if overlap > 0 {
            sum.add(cell, overlap, interval.len_ms());
            seen = true;
        }
    }
    for gap in gaps.iter().filter(|gap| gap.column == Some(column)) {
        let overlap = gap.range.overlap_ms(window);
        if let (Some(amount), true) = (gap.amount, overlap > 0) {
            sum.add(amount, overlap, gap.range.len_ms());
            seen = true;
        }
    }
    if seen { sum.rounded() } else { None }
}

/// What the scrapes alone prove about a usage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proven {
    /// At least this much.
    pub low: i64,
    /// At most this much; `None` if a part of the time was not seen.
    pub high: Option<i64>,
}

/// What the scrapes alone prove about the usage inside `window`: at least the increments of the
/// intervals that lie inside; at most those of every interval that touches it, provided that they
/// leave no part of it out (the last seconds of a job whose machine went with it are never seen).
/// `None` where no interval touches it.
///
/// Where the column missed scrapes, its increment was shared over the rows: only the sum is known. It
/// proves nothing if the hole reaches out of the window.
#[must_use]
pub fn bounds(
    profile: &Profile,
    column: Column,
    window: TimeRange,
    gaps: &[Gap],
) -> Option<Proven> {
    let rows = profile
        .intervals()
        .zip(profile.column(column).unwrap_or_default())
        .filter_map(|(interval, cell)| Some((interval?, (*cell)?)));
    let own = || gaps.iter().filter(|gap| gap.column == Some(column));
    let lost = own().filter_map(|gap| Some((gap.range, gap.amount?)));
    // Holes are cut at the job's edges: one that reaches an edge may go on behind it.
    let shared = |interval: TimeRange| {
        own()
            .filter(|gap| gap.amount.is_none())
            .filter(|gap| gap.range.from <= window.from || gap.range.to >= window.to)
            .any(|gap| gap.range.overlap_ms(interval) > 0)
    };
    let mut sums = None;
    let mut covered = 0;
    for (interval, amount) in rows.chain(lost) {
        let overlap = interval.overlap_ms(window);
        if overlap == 0 {
            continue;
        }
        let (low, high) = sums.get_or_insert((0i64, 0i64));
        if shared(interval) {
            continue;
        }
        if overlap == interval.len_ms() {
            *low = low.saturating_add(amount);
        }
        *high = high.saturating_add(amount);
        covered += overlap;
    }
    let (low, high) = sums?;
    Some(Proven {
        low,
        high: (covered == window.len_ms()).then_some(high),
    })
}

/// Milliseconds of `window` that samples cover: the overlap of every row's interval that is no gap
/// (longer than 1.5 scrape intervals; without a known scrape interval every interval counts).
#[must_use]
pub fn covered_ms(profile: &Profile, window: TimeRange, scrape_interval_ms: Option<i64>) -> i64 {
    profile
        .intervals()
        .flatten()
        .filter(|interval| !is_gap(interval.len_ms(), scrape_interval_ms))
        .map(|interval| interval.overlap_ms(window))
        .sum()
}

/// Whether the time between two scrapes ends a gap.
#[must_use]
pub fn is_gap(interval_ms: i64, scrape_interval_ms: Option<i64>) -> bool {
    scrape_interval_ms
        .is_some_and(|scrape| interval_ms.saturating_mul(2) > scrape.saturating_mul(3))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::TimestampMs;
    use proptest::prelude::*;

    const COLUMN: Column = Column::CpuUserSeconds;

    fn profile(start: i64, rows: &[(i32, i64)]) -> Profile {
        let mut profile = Profile::default();
        let mut ts = start;
        let mut cells = Vec::new();
        for (interval, cell) in rows {
            ts += i64::from(*interval);
            profile.ts_ms.push(ts);
            profile.interval_ms.push(Some(*interval));
            cells.push(Some(*cell));
        }
        profile.columns.insert(COLUMN, cells);
        profile
    }

    fn window(from: i64, to: i64) -> TimeRange {
        TimeRange::new(TimestampMs(from), TimestampMs(to))
    }

    #[test]
    fn usage_is_linear_interpolation() {
        let profile = profile(0, &[(15_000, 300), (15_000, 600)]);
        assert_eq!(
            total(&profile, COLUMN, window(5_000, 20_000), &[]),
            Some(200 + 200)
        );
        assert_eq!(total(&profile, COLUMN, window(0, 30_000), &[]), Some(900));
        assert_eq!(total(&profile, COLUMN, window(30_000, 40_000), &[]), None);
        let proven = |low, high| Some(Proven { low, high });
        assert_eq!(
            bounds(&profile, COLUMN, window(5_000, 30_000), &[]),
            proven(600, Some(900))
        );
    }

    #[test]
    fn nothing_is_proven_about_what_was_not_seen() {
        let proven = |low, high| Some(Proven { low, high });
        let mut profile = profile(0, &[(15_000, 300), (15_000, 600), (15_000, 900)]);
        let of = |profile: &Profile, from, to, gaps: &[Gap]| {
            bounds(profile, COLUMN, window(from, to), gaps)
        };
        // Beyond the last scrape, and before the first.
        assert_eq!(of(&profile, 5_000, 45_001, &[]), proven(1_500, None));
        assert_eq!(of(&profile, -1, 45_000, &[]), proven(1_800, None));
        assert_eq!(of(&profile, 45_000, 50_000, &[]), None);
        // A hole of the column inside the job leaves its sum known, one at the edge does not.
        let hole = |from, to| Gap {
            range: window(from, to),
            column: Some(COLUMN),
            amount: None,
        };
        let inside = [hole(15_000, 40_000)];
        assert_eq!(
            of(&profile, 1_000, 44_000, &inside),
            proven(600, Some(1_800))
        );
        let edge = [hole(20_000, 44_000)];
        assert_eq!(of(&profile, 1_000, 44_000, &edge), proven(0, None));
        // A first row without an interval.
        profile.interval_ms[0] = None;
        assert_eq!(of(&profile, 5_000, 45_000, &[]), proven(1_500, None));
    }

    #[test]
    fn fractions_are_summed_before_they_are_rounded() {
        // 1/3 + 1/3 of a unit: rounded one by one it would be 0.
        let profile = profile(0, &[(3, 1), (3, 1)]);
        assert_eq!(total(&profile, COLUMN, window(2, 4), &[]), Some(1));
    }

    #[test]
    fn an_overflowed_cell_counts_from_the_gap_list() {
        let mut profile = profile(0, &[(10, 5)]);
        profile.columns.insert(COLUMN, vec![None]);
        let gap = Gap {
            range: window(0, 10),
            column: Some(COLUMN),
            amount: Some(2_000_000_000),
        };
        assert_eq!(
            total(&profile, COLUMN, window(0, 5), &[gap]),
            Some(1_000_000_000)
        );
    }

    proptest! {
        #[test]
        fn adjoining_windows_add_up(
            rows in prop::collection::vec((1i32..100_000, 0i64..1_000_000), 1..40),
            cut in 0.0f64..1.0,
        ) {
            let profile = profile(1_000, &rows);
            let end = *profile.ts_ms.last().unwrap();
            let middle = 1_000 + num::round_to_i64(num::to_f64(end - 1_000) * cut).unwrap();
            let whole = total(&profile, COLUMN, window(1_000, end), &[]).unwrap();
            let parts = total(&profile, COLUMN, window(1_000, middle), &[]).unwrap_or(0)
                + total(&profile, COLUMN, window(middle, end), &[]).unwrap_or(0);
            prop_assert!((whole - parts).abs() <= 1, "{whole} against {parts}");
            prop_assert_eq!(whole, rows.iter().map(|row| row.1).sum::<i64>());
        }
    }
}
