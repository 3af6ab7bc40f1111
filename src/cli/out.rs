//! Standard output and standard error of the commands.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the owner of the terminal"
)]

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
