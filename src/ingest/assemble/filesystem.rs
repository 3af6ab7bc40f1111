//! The filesystem of a job: of all that a job could fill, the one that came closest to full.

use super::gauges::{Values, difference, read};
use super::scrapes::Scrapes;
use super::select;
use super::target::Series;
use crate::model::metric::Column;
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// The chosen filesystem.
#[derive(Debug)]
pub(super) struct Filesystem {
    /// Size - available, at the base and the rows. What is reserved for root counts as used: the
    /// job cannot have it.
    pub(super) used: Values,
    /// Its last known size.
    pub(super) size: i64,
}

/// The series of one mounted filesystem.
#[derive(Debug, Default)]
struct Mount<'a> {
    size: Option<Series<'a>>,
    avail: Option<Series<'a>>,
    readonly: Option<Series<'a>>,
}

/// The filesystem with the largest used / size over the rows (tie: the first by mount point). One
/// for the whole job, so that its graph is the graph of one thing.
pub(super) fn fullest(series: &[Series<'_>], scrapes: &Scrapes) -> Option<Filesystem> {
    let mut fullest: Option<(Fill, Filesystem)> = None;
    for mount in mounts(series).into_values() {
        let Some((fill, filesystem)) = measure(&mount, scrapes) else {
            continue;
        };
        let fuller = fullest
            .as_ref()
            .is_none_or(|(best, _)| fill.compare(*best) == Ordering::Greater);
        if fuller {
            fullest = Some((fill, filesystem));
        }
    }
    fullest.map(|(_, filesystem)| filesystem)
}

/// Mounted filesystems by mount point, device and type.
fn mounts<'a>(series: &[Series<'a>]) -> BTreeMap<[&'a str; 3], Mount<'a>> {
    let mut mounts: BTreeMap<_, Mount<'a>> = BTreeMap::new();
    for series in series {
        let [mountpoint, device, fstype] =
            ["mountpoint", "device", "fstype"].map(|label| series.label(label));
        if !series.name().starts_with("node_filesystem_")
            || !select::is_job_filesystem(fstype, mountpoint)
        {
            continue;
        }
        let mount = mounts.entry([mountpoint, device, fstype]).or_default();
        match series.name() {
            "node_filesystem_size_bytes" => mount.size = Some(*series),
            "node_filesystem_avail_bytes" => mount.avail = Some(*series),
            "node_filesystem_readonly" => mount.readonly = Some(*series),
            _ => {}
        }
    }
    mounts
}

/// Fill and usage of a mount; `None` if it was never writable or never measured at a row.
fn measure(mount: &Mount<'_>, scrapes: &Scrapes) -> Option<(Fill, Filesystem)> {
    // One that turns read-only on the way (an I/O error) is a filesystem the job wrote to.
    let writable = mount.readonly.is_none_or(|series| {
        series.samples().next().is_none() || series.samples().any(|(_, readonly)| readonly != 1.0)
    });
    if !writable {
        return None;
    }
    // A mount whose size is beyond all numbers is not measured, and no reason to call the job partial.
    let (size, _) = read(mount.size?, Column::FilesystemUsedBytes, scrapes);
    let (avail, _) = read(mount.avail?, Column::FilesystemUsedBytes, scrapes);
    let used = difference(&size, &avail);
    let fill = used
        .iter()
        .zip(&size)
        .skip(1)
        .filter_map(|(used, size)| Fill::new((*used)?, (*size)?))
        .max_by(|left, right| left.compare(*right))?;
    let size = size.into_iter().flatten().last()?;
    Some((fill, Filesystem { used, size }))
}

/// A share of a filesystem, compared exactly.
#[derive(Debug, Clone, Copy)]
struct Fill {
    used: i64,
    size: i64,
}

impl Fill {
    fn new(used: i64, size: i64) -> Option<Self> {
        (size > 0).then_some(Self { used, size })
    }

    fn compare(self, other: Self) -> Ordering {
        let cross = |used: i64, size: i64| i128::from(used) * i128::from(size);
        cross(self.used, other.size).cmp(&cross(other.used, self.size))
    }
}
