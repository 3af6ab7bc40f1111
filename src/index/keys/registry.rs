//! `regions` and `runners`: the registry.
//!
//! `regions`: key the region's name (UTF-8), value JSON [`Region`].
//! `runners`: key source (length byte and text), then runner id (UTF-8); value JSON [`Runner`].

use crate::error::Result;
use crate::index::wire::{Reader, from_json, put_text, to_json};
use crate::index::{Family, corrupt, stored};
use crate::model::id::{RegionName, RunnerId, Source};
use crate::model::runner::{Region, Runner, RunnerRef};

fn utf8<'a>(family: &str, bytes: &'a [u8]) -> Result<&'a str> {
    std::str::from_utf8(bytes).map_err(|_| corrupt(family, "a name is no UTF-8"))
}

/// The family of regions.
#[derive(Debug)]
pub struct Regions;

impl Family for Regions {
    const NAME: &'static str = "regions";
    type Key = RegionName;
    type Value = Region;

    fn encode_key(key: &RegionName, out: &mut Vec<u8>) {
        out.extend_from_slice(key.as_str().as_bytes());
    }

    fn decode_key(bytes: &[u8]) -> Result<RegionName> {
        stored(Self::NAME, RegionName::parse(utf8(Self::NAME, bytes)?))
    }

    fn encode_value(value: &Region) -> Result<Vec<u8>> {
        to_json(Self::NAME, value)
    }

    fn decode_value(bytes: &[u8]) -> Result<Region> {
        from_json(Self::NAME, bytes)
    }
}

/// The family of runners.
#[derive(Debug)]
pub struct Runners;

impl Family for Runners {
    const NAME: &'static str = "runners";
    type Key = RunnerRef;
    type Value = Runner;

    fn encode_key(key: &RunnerRef, out: &mut Vec<u8>) {
        put_text(key.source.as_str(), out);
        out.extend_from_slice(key.runner_id.as_str().as_bytes());
    }

    fn decode_key(bytes: &[u8]) -> Result<RunnerRef> {
        let mut reader = Reader::new(Self::NAME, bytes);
        let source = stored(Self::NAME, Source::parse(reader.text()?))?;
        let runner_id = stored(
            Self::NAME,
            RunnerId::parse(utf8(Self::NAME, reader.rest())?),
        )?;
        Ok(RunnerRef { source, runner_id })
    }

    fn encode_value(value: &Runner) -> Result<Vec<u8>> {
        to_json(Self::NAME, value)
    }

    fn decode_value(bytes: &[u8]) -> Result<Runner> {
        from_json(Self::NAME, bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::keys::check;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn round_trip(source in "[a-z]{1,20}", id in "[ -~]{1,60}", url in "http://[a-z]{1,20}") {
            let region: Region = serde_json::from_value(serde_json::json!({ "url": url })).unwrap();
            check::round_trip::<Regions>(&RegionName::parse(&id).unwrap(), &region);
            let runner: Runner = serde_json::from_value(serde_json::json!({ "region": id })).unwrap();
            let key = RunnerRef { source: Source::parse(&source).unwrap(), runner_id: RunnerId::parse(&id).unwrap() };
            check::round_trip::<Runners>(&key, &runner);
        }
    }
}
