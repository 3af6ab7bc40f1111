//! Charts in a terminal: eighth-block columns over a common time axis, section marks above.

use crate::num;

/// Eighths of a cell, from empty to full.
const BLOCKS: [char; 9] = [
    ' ', '\u{2581}', '\u{2582}', '\u{2583}', '\u{2584}', '\u{2585}', '\u{2586}', '\u{2587}',
    '\u{2588}',
];
/// A column of time without samples.
const NO_SAMPLES: char = '\u{b7}';

/// A value over `(from, to]`, in ms.
#[derive(Debug, Clone, Copy)]
pub(super) struct Point {
    pub(super) from_ms: i64,
    pub(super) to_ms: i64,
    pub(super) value: f64,
}

/// The common time axis.
#[derive(Debug, Clone, Copy)]
pub(super) struct Axis {
    pub(super) from_ms: i64,
    pub(super) to_ms: i64,
    pub(super) columns: usize,
}

impl Axis {
    /// Time of a column's left edge.
    fn edge(&self, column: usize) -> i64 {
        let length = i128::from(self.to_ms - self.from_ms);
        let columns = i128::from(num::len_u64(self.columns.max(1)));
        let offset = num::div_round(length * i128::from(num::len_u64(column)), columns);
        self.from_ms
            .saturating_add(num::narrow(offset).unwrap_or(0))
    }

    /// Column of an instant.
    fn column(&self, ms: i64) -> usize {
        (0..self.columns)
            .rev()
            .find(|column| self.edge(*column) <= ms)
            .unwrap_or(0)
    }

    /// The largest value that touches each column, so that spikes survive; `None` without samples.
    pub(super) fn bin(&self, points: &[Point]) -> Vec<Option<f64>> {
        (0..self.columns)
            .map(|column| {
                let (left, right) = (self.edge(column), self.edge(column + 1));
                points
                    .iter()
                    .filter(|point| point.from_ms < right && point.to_ms >= left)
                    .map(|point| point.value)
                    .reduce(f64::max)
            })
            .collect()
    }

    /// One line of marks: every section's name between its edges, later ones over earlier ones.
    pub(super) fn marks(&self, sections: &[(String, i64, i64)]) -> String {
        let mut line = vec![' '; self.columns];
        for (name, from, to) in sections {
            let (left, right) = (self.column(*from), self.column(to - 1));
            let width = right.saturating_sub(left) + 1;
            let label: String = name.chars().take(width.saturating_sub(2)).collect();
            let mut mark: Vec<char> = vec!['\u{2500}'; width];
            if let Some(first) = mark.first_mut() {
                *first = '\u{251c}';
            }
            if let Some(last) = mark.last_mut().filter(|_| width > 1) {
                *last = '\u{2524}';
            }
            for (cell, letter) in mark.iter_mut().skip(1).zip(label.chars()) {
                *cell = letter;
            }
            for (cell, letter) in line.iter_mut().skip(left).zip(mark) {
                *cell = letter;
            }
        }
        line.into_iter().collect()
    }
}

/// A chart of `height` lines, scaled to `top`.
pub(super) fn draw(bins: &[Option<f64>], top: f64, height: usize) -> Vec<String> {
    let eighths_of = |value: f64| {
        let share = if top > 0.0 {
            (value / top).clamp(0.0, 1.0)
        } else {
            0.0
        };
        let all = num::to_f64(num::len_i64(height * 8));
        let eighths = num::round_to_i64(share * all).unwrap_or(0);
        // Something is not nothing.
        num::to_usize(eighths.max(i64::from(value > 0.0)).unsigned_abs())
    };
    (0..height)
        .rev()
        .map(|line| {
            bins.iter()
                .map(|bin| match bin {
                    None if line == 0 => NO_SAMPLES,
                    None => ' ',
                    Some(value) => {
                        let filled = eighths_of(*value).saturating_sub(line * 8).min(8);
                        BLOCKS.get(filled).copied().unwrap_or(' ')
                    }
                })
                .collect()
        })
        .collect()
}

/// Bytes in IEC units with three significant digits.
pub(super) fn bytes(value: f64) -> String {
    scaled(value, 1024.0, &["B", "KiB", "MiB", "GiB", "TiB", "PiB"])
}

fn scaled(value: f64, step: f64, units: &[&str]) -> String {
    let mut value = value;
    let mut unit = units.first().copied().unwrap_or("");
    for next in units.iter().skip(1) {
        if value.abs() < step {
            break;
        }
        value /= step;
        unit = next;
    }
    let digits = if value.abs() >= 100.0 || unit == "B" {
        0
    } else if value.abs() >= 10.0 {
        1
    } else {
        2
    };
    format!("{value:.digits$} {unit}")
}

/// A duration as `12.3 s`, `4:05`, or `1:02:03`.
pub(super) fn duration(ms: i64) -> String {
    let seconds = ms / 1_000;
    match seconds {
        0..60 => format!("{}.{} s", seconds, ms % 1_000 / 100),
        60..3_600 => format!("{}:{:02}", seconds / 60, seconds % 60),
        _ => format!(
            "{}:{:02}:{:02}",
            seconds / 3_600,
            seconds / 60 % 60,
            seconds % 60
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spikes_survive_and_gaps_are_dots() {
        let axis = Axis {
            from_ms: 0,
            to_ms: 1_000,
            columns: 10,
        };
        let points = [
            Point {
                from_ms: 0,
                to_ms: 99,
                value: 1.0,
            },
            Point {
                from_ms: 500,
                to_ms: 510,
                value: 8.0,
            },
        ];
        let bins = axis.bin(&points);
        assert_eq!(bins[5], Some(8.0));
        assert_eq!(bins[7], None);
        let lines = draw(&bins, 8.0, 2);
        assert_eq!(lines[1].chars().nth(7), Some(NO_SAMPLES));
        assert_eq!(lines[0].chars().nth(5), Some('\u{2588}'));
    }

    #[test]
    fn marks_span_their_sections() {
        let axis = Axis {
            from_ms: 0,
            to_ms: 1_000,
            columns: 20,
        };
        let line = axis.marks(&[("build".to_owned(), 0, 500), ("x".to_owned(), 500, 550)]);
        assert_eq!(line.chars().count(), 20);
        assert!(line.starts_with("\u{251c}build"), "{line}");
    }

    #[test]
    fn units_are_for_people() {
        assert_eq!(bytes(0.0), "0 B");
        assert_eq!(bytes(1536.0), "1.50 KiB");
        assert_eq!(bytes(419_430_400.0), "400 MiB");
        assert_eq!(duration(31_240), "31.2 s");
        assert_eq!(duration(245_000), "4:05");
        assert_eq!(duration(3_723_000), "1:02:03");
    }
}
