//! Standard output and standard error of the commands.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the owner of the terminal"
)]

use std::io::IsTerminal as _;

/// Prints a line.
pub(super) fn line(text: &str) {
    println!("{text}");
}

/// Prints text as it is.
pub(super) fn text(text: &str) {
    print!("{text}");
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

/// Whether to use colour.
#[expect(
    clippy::disallowed_methods,
    reason = "the command line is where the environment is read"
)]
pub(super) fn colour() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}
