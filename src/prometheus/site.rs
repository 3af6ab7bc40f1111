//! Where a call goes, and how it is named in messages.

use crate::model::id::RegionName;
use crate::model::runner::Region;
use crate::outbound::host_of;
use crate::source_port::{SourceError, SourceErrorKind};
use reqwest::Url;

/// A region as the target of a call.
#[derive(Debug)]
pub(super) struct Site<'a> {
    pub(super) name: &'a RegionName,
    pub(super) region: &'a Region,
    /// Host and port for messages: never the path or anything that could be a credential.
    host: String,
}

impl<'a> Site<'a> {
    /// The region's address, parsed.
    ///
    /// # Errors
    /// `Refused` if the registered URL is none.
    pub(super) fn new(name: &'a RegionName, region: &'a Region) -> Result<Self, SourceError> {
        let url = Url::parse(&region.url).ok();
        let Some(host) = url.as_ref().and_then(host_of) else {
            return Err(SourceError {
                kind: SourceErrorKind::Refused,
                message: format!(
                    "region {name}: its url is not a web address; register the region again"
                ),
            });
        };
        Ok(Self { name, region, host })
    }

    /// The address of an API path; a path prefix of the registered URL is kept.
    pub(super) fn endpoint(&self, path: &str) -> String {
        format!("{}{path}", self.region.url.trim_end_matches('/'))
    }

    /// An error of this site: every message starts with the region and the host.
    pub(super) fn error(&self, kind: SourceErrorKind, what: impl std::fmt::Display) -> SourceError {
        SourceError {
            kind,
            message: format!("region {} ({}): {what}", self.name, self.host),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_prefix_is_kept_and_never_shown() {
        let name = RegionName::parse("eu-1").unwrap();
        for base in [
            "https://mimir.example:8443/tenant-7",
            "https://mimir.example:8443/tenant-7/",
        ] {
            let region: Region =
                serde_json::from_value(serde_json::json!({ "url": base })).unwrap();
            let site = Site::new(&name, &region).unwrap();
            assert_eq!(
                site.endpoint("/api/v1/read"),
                "https://mimir.example:8443/tenant-7/api/v1/read"
            );
            assert_eq!(
                site.error(SourceErrorKind::Refused, "no").message,
                "region eu-1 (mimir.example:8443): no"
            );
        }
    }
}
