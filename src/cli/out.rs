//! Standard output and standard error of the commands, and the file that is written instead.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the owner of the terminal"
)]

use std::io::{self, ErrorKind, IsTerminal as _, Write as _};
use std::path::Path;

/// Prints a line.
pub(super) fn line(text: &str) {
    println!("{text}");
}

/// Prints text as it is.
pub(super) fn text(text: &str) {
    print!("{text}");
}

/// Writes bytes as they are. A reader that has enough and closes its end is no error.
pub(super) fn bytes(bytes: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Writes bytes to a file that the caller's user named.
#[expect(
    clippy::disallowed_methods,
    reason = "the owner of what a command writes where its user says"
)]
pub(super) fn file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    std::fs::write(path, bytes)
}

/// Whether a person looks at standard output.
pub(super) fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Prints progress for people, apart from the output.
pub(super) fn note(text: &str) {
    eprintln!("{text}");
}

/// Prints an error.
pub(super) fn error(text: &str) {
    eprintln!("error: {text}");
}

/// Columns of the terminal; 100 if there is none, at most 160.
pub(super) fn width() -> usize {
    let size = terminal_size::terminal_size();
    size.map_or(100, |(width, _)| usize::from(width.0))
        .clamp(40, 160)
}
