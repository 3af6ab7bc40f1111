//! Exit codes, after sysexits(3): 0 ok, 1 the demo's check failed, 2 wrong usage (by the argument
//! parser), 64 wrong configuration or request, 65 damaged or newer data, 66 no such job, 69 service
//! or region unreachable, 70 a bug, 73 the data directory is in use, 75 try again later.

use crate::error::{Error, ErrorKind};
use std::process::ExitCode;

/// The exit code of an error.
pub(super) fn code(error: &Error) -> ExitCode {
    if error.code() == super::demo::CHECK_FAILED {
        return ExitCode::from(1);
    }
    ExitCode::from(match error.kind() {
        ErrorKind::Invalid => 64,
        ErrorKind::Data => 65,
        ErrorKind::NotFound => 66,
        ErrorKind::Upstream => 69,
        ErrorKind::Conflict => 73,
        ErrorKind::Overloaded | ErrorKind::Unavailable => 75,
        ErrorKind::Unauthorized | ErrorKind::Internal => 70,
    })
}
