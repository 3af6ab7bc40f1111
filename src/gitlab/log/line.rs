//! Lines of a job log: the runner's time stamps, and what of a line is visible.
//!
//! Since gitlab-runner 18.7 every line begins with a header of 32 bytes:
//! `2025-11-24T16:00:02.104512Z 00O `: time, stream (two hex digits), `O` or `E`, and a blank, or `+`
//! for a line that continues the one before it of the same stream.

use chrono::{NaiveDate, NaiveTime};

/// Length of the header, and where its parts are.
const HEADER_BYTES: usize = 32;

/// Where a line comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// It has no header.
    Plain,
    /// It has one: 0 is the runner itself, 1 the scripts it runs, 15 and more are services.
    Stream {
        /// Number.
        number: u8,
        /// Standard error.
        is_stderr: bool,
    },
}

impl Origin {
    /// Streams that are told apart.
    pub(super) const COUNT: usize = 2 * 256 + 1;

    /// A number below [`Self::COUNT`], of its own for each.
    pub(super) fn slot(self) -> usize {
        match self {
            Self::Plain => 0,
            Self::Stream { number, is_stderr } => {
                1 + 2 * usize::from(number) + usize::from(is_stderr)
            }
        }
    }
}

/// A header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    /// Unix microseconds.
    pub(super) at_us: i64,
    pub(super) origin: Origin,
    /// Whether the line goes on where the one before it of this stream ended.
    pub(super) is_continuation: bool,
}

impl Header {
    /// The header of a line and the rest of the line, if it has one.
    pub(super) fn split(line: &[u8]) -> Option<(Self, &[u8])> {
        let (header, rest) = line.split_at_checked(HEADER_BYTES)?;
        let (stamp, mark) = header.split_at_checked(27)?;
        let [b' ', high, low, kind @ (b'O' | b'E'), flag @ (b' ' | b'+')] = *mark else {
            return None;
        };
        let header = Self {
            at_us: micros(stamp)?,
            origin: Origin::Stream {
                number: (hex(high)? << 4) | hex(low)?,
                is_stderr: kind == b'E',
            },
            is_continuation: flag == b'+',
        };
        Some((header, rest))
    }
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

/// `2025-11-24T16:00:02.104512Z` in Unix microseconds.
fn micros(stamp: &[u8]) -> Option<i64> {
    let [
        y0,
        y1,
        y2,
        y3,
        b'-',
        mo0,
        mo1,
        b'-',
        d0,
        d1,
        b'T',
        h0,
        h1,
        b':',
        mi0,
        mi1,
        b':',
        s0,
        s1,
        b'.',
        fraction @ ..,
        b'Z',
    ] = stamp
    else {
        return None;
    };
    let year = i32::try_from(number(&[*y0, *y1, *y2, *y3])?).ok()?;
    let date = NaiveDate::from_ymd_opt(year, number(&[*mo0, *mo1])?, number(&[*d0, *d1])?)?;
    let time = NaiveTime::from_hms_micro_opt(
        number(&[*h0, *h1])?,
        number(&[*mi0, *mi1])?,
        number(&[*s0, *s1])?,
        number(fraction)?,
    )?;
    Some(date.and_time(time).and_utc().timestamp_micros())
}

fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0u32, |sum, digit| {
        let digit = digit.is_ascii_digit().then(|| u32::from(digit - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    })
}

/// Length of the terminal control sequence (`ESC [ ... letter`) that `text` begins with, 0 if it does
/// not. One that is cut off by the end of `text` counts as a whole.
pub(super) fn escape_len(text: &[u8]) -> usize {
    let Some(parameters) = text.strip_prefix(b"\x1b[") else {
        return 0;
    };
    let is_parameter = |byte: &u8| !byte.is_ascii_alphabetic();
    let length = parameters
        .iter()
        .take(32)
        .take_while(|b| is_parameter(b))
        .count();
    (2 + length + 1).min(text.len())
}

/// What a line shows: without control sequences and without the line break of Windows. `None` for a
/// line that overwrites itself, which the runner's own never do.
pub(super) fn visible(line: &[u8]) -> Option<Vec<u8>> {
    let mut rest = line.trim_ascii_end();
    let mut shown = Vec::with_capacity(rest.len());
    while let Some((first, behind)) = rest.split_first() {
        rest = match *first {
            b'\x1b' => rest.get(escape_len(rest).max(1)..).unwrap_or_default(),
            b'\r' => return None,
            byte => {
                shown.push(byte);
                behind
            }
        };
    }
    shown.truncate(shown.trim_ascii_end().len());
    Some(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_split_off() {
        let line = b"2025-11-24T16:00:02.104512Z 0fE+text";
        let (header, rest) = Header::split(line).unwrap();
        assert_eq!(rest, b"text");
        assert_eq!(header.at_us, 1_764_000_002_104_512);
        let stderr_of_15 = Origin::Stream {
            number: 15,
            is_stderr: true,
        };
        assert_eq!(
            (header.origin, header.is_continuation),
            (stderr_of_15, true)
        );
        for other in [
            &b"2025-11-24T16:00:02.104512Z 0FE text"[..],
            b"2025-11-24T16:00:02.104512Z 00X text",
            b"2025-11-24T16:00:02.104512Z 00O-text",
            b"2025-11-24T16:00:02.104512Z 00O",
            b"2025-13-24T16:00:02.104512Z 00O text",
            b"2025-11-24T16:00:61.104512Z 00O text",
            b"2025-11-24 16:00:02.104512Z 00O text",
            b"2025-11-24T16:00:02.1045+2Z 00O text",
        ] {
            assert!(Header::split(other).is_none(), "{other:?}");
        }
    }

    #[test]
    fn every_stream_has_a_slot_of_its_own() {
        let mut slots: Vec<usize> = (0..=255)
            .flat_map(|number| [false, true].map(|is_stderr| Origin::Stream { number, is_stderr }))
            .chain([Origin::Plain])
            .map(Origin::slot)
            .collect();
        slots.sort_unstable();
        assert!(slots.into_iter().eq(0..Origin::COUNT));
    }

    #[test]
    fn only_text_is_visible() {
        let shown = |line: &[u8]| visible(line);
        assert_eq!(
            shown(b"\x1b[0K\x1b[36;1mHi\x1b[0;m\x1b[0;m\r").unwrap(),
            b"Hi"
        );
        assert_eq!(shown(b"a\x1b[").unwrap(), b"a");
        assert_eq!(shown(b"\x1b\x1b]0;t").unwrap(), b"]0;t");
        assert_eq!(shown(b"one\rtwo"), None);
        assert_eq!(shown(b"").unwrap(), b"");
    }
}
