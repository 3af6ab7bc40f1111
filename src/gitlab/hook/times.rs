//! The spellings in which GitLab's hooks say a time.

use crate::time::TimestampMs;

/// Longest spelling: nanoseconds and an offset.
const TEXT_BYTES_MAX: usize = 40;

/// A time of a hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct HookTime {
    pub(super) at: TimestampMs,
    /// Whether it was said with less than a second's precision.
    pub(super) in_whole_seconds: bool,
}

impl HookTime {
    /// Parses `2026-07-28 22:09:25 UTC`, `2026-07-28 15:09:25 -0700` and RFC 3339, with or without a
    /// fraction. `None` for anything else, and for times that cannot be a job's.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.len() > TEXT_BYTES_MAX {
            return None;
        }
        let (date, rest) = text.split_at_checked(10)?;
        let rest = rest.strip_prefix(['T', ' '])?;
        let end = rest.find(|c: char| !(c.is_ascii_digit() || c == ':' || c == '.'))?;
        let (clock, zone) = rest.split_at_checked(end)?;
        let zone = match zone.trim_start() {
            "UTC" | "Z" => "+00:00".to_owned(),
            zone => match zone.split_at_checked(3)? {
                (hours, minutes) if minutes.starts_with(':') => format!("{hours}{minutes}"),
                (hours, minutes) => format!("{hours}:{minutes}"),
            },
        };
        Some(Self {
            at: TimestampMs::parse_rfc3339(&format!("{date}T{clock}{zone}"))?,
            in_whole_seconds: !clock.contains('.'),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_spelling_parses_to_the_same_second() {
        for (text, ms) in [
            ("2026-07-28 22:09:25 UTC", 0),
            ("2026-07-28 15:09:25 -0700", 0),
            ("2026-07-28 15:09:25 -07:00", 0),
            ("2026-07-28T22:09:25.123Z", 123),
            ("2026-07-28T22:09:25Z", 0),
            ("2026-07-29T00:09:25.123+02:00", 123),
            ("2026-07-29 00:09:25 +0200", 0),
            ("2026-07-28 22:09:25.123456 UTC", 123),
            (" 2026-07-28 22:09:25UTC ", 0),
            ("2026-07-29 03:54:25 +0545", 0),
        ] {
            let time = HookTime::parse(text).unwrap_or_else(|| panic!("{text:?} was refused"));
            assert_eq!(time.at.0, 1_785_276_565_000 + ms, "{text:?}");
            assert_eq!(time.in_whole_seconds, !text.contains('.'), "{text:?}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            " ",
            "null",
            "1785276565",
            "2026-07-28",
            "2026-07-28 22:09:25",
            "2026-07-28 22:09:25 CEST",
            "2026-13-28 22:09:25 UTC",
            "2026-07-28 25:09:25 UTC",
            "2026-07-28 22:09:25 +07",
            "2026-07-28 22:09:25 +070",
            "0000-01-01 00:00:00 UTC",
            "1970-01-01 00:00:00 UTC",
            "2026-07-28 22:09:25 UTC and more, far more than a time",
            "\u{e9}026-07-28 22:09:25 UTC",
        ] {
            assert_eq!(HookTime::parse(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,45}", tail in "[0-9: .TZUC+-]{0,45}") {
            let _unused = HookTime::parse(&text);
            let _unused = HookTime::parse(&format!("2026-07-28{tail}"));
        }
    }
}
