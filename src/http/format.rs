//! The formats in which a profile is given: names, media types, file names.

use crate::limits;
use crate::model::id::JobRef;

/// A format of a profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// The profile's document of the API.
    Json,
    /// RFC 4180.
    Csv,
    /// One Parquet file.
    Parquet,
    /// An Arrow IPC stream.
    Arrow,
    /// OpenMetrics text.
    OpenMetrics,
}

impl Format {
    /// All, the one that is given to whom everything is right first.
    pub const ALL: [Self; 5] = [
        Self::Json,
        Self::Csv,
        Self::Parquet,
        Self::Arrow,
        Self::OpenMetrics,
    ];

    /// Its name in `?format=`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Csv => "csv",
            Self::Parquet => "parquet",
            Self::Arrow => "arrow",
            Self::OpenMetrics => "openmetrics",
        }
    }

    /// The format of that name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }

    /// Its `Content-Type`.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Parquet => "application/vnd.apache.parquet",
            Self::Arrow => "application/vnd.apache.arrow.stream",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// The media type alone, as `Accept` names it.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        let kind = self.content_type();
        kind.split_once(';').map_or(kind, |(kind, _)| kind)
    }

    /// Whether it may be written to a terminal.
    #[must_use]
    pub fn is_text(self) -> bool {
        !matches!(self, Self::Parquet | Self::Arrow)
    }

    fn extension(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Csv => "csv",
            Self::Parquet => "parquet",
            Self::Arrow => "arrows",
            Self::OpenMetrics => "om",
        }
    }

    /// Its `Content-Disposition`: to be kept as a file of that name, but JSON, which browsers show.
    #[must_use]
    pub fn disposition(self, job: &JobRef) -> String {
        let kind = match self {
            Self::Json => "inline",
            _ => "attachment",
        };
        format!("{kind}; filename=\"{}\"", self.file_name(job))
    }

    /// `job-gitlab-4711.parquet`. Ids are whatever a sender made up: what is not harmless in a file
    /// name, a header and a shell everywhere becomes `_`.
    #[must_use]
    pub fn file_name(self, job: &JobRef) -> String {
        let safe = |text: &str| -> String {
            let letters = text.chars().take(limits::FILE_NAME_PART_MAX);
            letters
                .map(|c| match c {
                    'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' | '.' => c,
                    _ => '_',
                })
                .collect()
        };
        let (source, id) = (safe(job.source.as_str()), safe(job.job_id.as_str()));
        self.named(&format!("job-{source}-{id}"))
    }

    /// A file's name with its extension; `stem` must be harmless.
    #[must_use]
    pub fn named(self, stem: &str) -> String {
        format!("{stem}.{}", self.extension())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::{JobId, Source};

    #[test]
    fn file_names_are_harmless_whatever_the_ids_are() {
        let name = |source: &str, id: &str| {
            let job = JobRef {
                source: Source::parse(source).unwrap(),
                job_id: JobId::parse(id).unwrap(),
            };
            Format::Parquet.file_name(&job)
        };
        assert_eq!(name("gitlab", "4711"), "job-gitlab-4711.parquet");
        assert_eq!(
            name("..", "/etc/pass\"wd; $(x) \u{fc}"),
            "job-..-_etc_pass_wd____x___.parquet"
        );
        let long = "a".repeat(200);
        assert!(name(&long, &long).len() < 200);
    }
}
