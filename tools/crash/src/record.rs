//! The log of the shim: what a process did to its files, in order.
//!
//! The layout of a record is `struct record` of `shim.c`. Offsets and sizes are bytes.

use crate::lab::Result;
use std::path::Path;

/// What one call did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Call {
    /// A file or directory was opened; `created` if it was not there.
    Open {
        fd: i32,
        path: String,
        created: bool,
        emptied: bool,
    },
    /// Bytes were written at an offset.
    Write {
        fd: i32,
        offset: usize,
        data: Vec<u8>,
    },
    /// A file got another length.
    Truncate { fd: i32, bytes: usize },
    /// A file got at least this length, with zeros.
    Grow { fd: i32, bytes: usize },
    /// A file or directory was synced.
    Sync { fd: i32 },
    /// A name became another name.
    Rename { from: String, to: String },
    /// A file got another name.
    Link { from: String, to: String },
    /// A name went.
    Unlink { path: String },
    /// A directory was made.
    Mkdir { path: String },
    /// An empty directory went.
    Rmdir { path: String },
    /// A descriptor was closed.
    Close { fd: i32 },
    /// A process began.
    Start,
    /// A process ended by itself after this many calls that could have failed.
    End { calls: u64 },
}

/// A call and whether it failed (then it changed nothing, but for a failed sync, see `disk`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) call: Call,
    pub(crate) failed: bool,
}

const HEAD: usize = 40;
const O_CREAT: i64 = 0o100;
const O_TRUNC: i64 = 0o1000;
const O_ACCMODE: i64 = 0o3;

struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(head)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take(4)?.try_into().ok().map(u32::from_le_bytes)
    }

    fn i32(&mut self) -> Option<i32> {
        self.take(4)?.try_into().ok().map(i32::from_le_bytes)
    }

    fn i64(&mut self) -> Option<i64> {
        self.take(8)?.try_into().ok().map(i64::from_le_bytes)
    }

    fn text(&mut self, bytes: u32) -> Option<String> {
        String::from_utf8(self.take(usize::try_from(bytes).ok()?)?.to_vec()).ok()
    }

    fn record(&mut self) -> Option<Option<Record>> {
        let (kind, fd, a, b) = (self.u32()?, self.i32()?, self.i64()?, self.i64()?);
        let (error, path, other, data) = (self.i32()?, self.u32()?, self.u32()?, self.u32()?);
        let (path, other) = (self.text(path)?, self.text(other)?);
        let data = self.take(usize::try_from(data).ok()?)?;
        let size = |value: i64| usize::try_from(value).unwrap_or(0);
        let call = match kind {
            1 => Call::Open {
                fd,
                path,
                created: b == 0 && a & O_CREAT != 0,
                emptied: a & O_TRUNC != 0 && a & O_ACCMODE != 0,
            },
            2 => Call::Write {
                fd,
                offset: size(a),
                data: data.to_vec(),
            },
            3 => Call::Truncate { fd, bytes: size(a) },
            4 => Call::Sync { fd },
            5 => Call::Rename {
                from: path,
                to: other,
            },
            6 => Call::Link {
                from: path,
                to: other,
            },
            7 => Call::Unlink { path },
            8 => Call::Mkdir { path },
            9 => Call::Rmdir { path },
            10 => Call::Close { fd },
            11 if a == 0 => Call::Grow { fd, bytes: size(b) },
            11 => return Some(None),
            12 => Call::Start,
            13 => Call::End {
                calls: u64::try_from(a).ok()?,
            },
            _ => return None,
        };
        Some(Some(Record {
            call,
            failed: error != 0,
        }))
    }
}

/// Reads a log. The last record may be cut off: its process was killed in the middle of it.
pub(crate) fn read(path: &Path) -> Result<Vec<Record>> {
    let bytes = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut rest = Bytes(&bytes);
    let mut records = Vec::new();
    while rest.0.len() >= HEAD {
        match rest.record() {
            Some(record) => records.extend(record),
            None => break,
        }
    }
    Ok(records)
}

/// Syncs of a descriptor whose sync had failed: the kernel may report success for what it dropped.
pub(crate) fn syncs_after_failure(records: &[Record]) -> usize {
    let mut failed = std::collections::BTreeSet::new();
    let mut again = 0;
    for record in records {
        match &record.call {
            Call::Start => failed.clear(),
            Call::Open { fd, .. } | Call::Close { fd } => {
                failed.remove(fd);
            }
            Call::Sync { fd } => {
                again += usize::from(failed.contains(fd));
                if record.failed {
                    failed.insert(*fd);
                }
            }
            _ => {}
        }
    }
    again
}
