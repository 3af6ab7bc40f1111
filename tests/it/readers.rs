//! What DuckDB, Polars, DataFusion and pyarrow see in our files is what we meant.
//!
//! The checks themselves are written in the engines' own languages: `tests/readers/check.py`.

use std::path::Path;
use std::process::{Command, Output};

/// Runs a script of `tests/readers` in the pinned Python environment (`tools/pyenv` makes it once).
pub(crate) fn python(script: &str, args: &[&str]) -> Output {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let made = Command::new(root.join("tools/pyenv")).output().unwrap();
    assert!(
        made.status.success(),
        "tools/pyenv failed: {}",
        String::from_utf8_lossy(&made.stderr)
    );
    let python = String::from_utf8(made.stdout).unwrap();
    Command::new(python.trim())
        .arg(root.join("tests/readers").join(script))
        .args(args)
        .output()
        .unwrap()
}

/// Lets the foreign engines check files of ours; `spec` is described in `tests/readers/check.py`.
///
/// # Panics
/// At the first difference, with the checker's own words.
#[expect(
    dead_code,
    reason = "called once the engine writes files in these tests"
)]
pub(crate) fn check(spec: &serde_json::Value) {
    let checked = python("check.py", &[&spec.to_string()]);
    assert!(
        checked.status.success(),
        "{}",
        String::from_utf8_lossy(&checked.stderr)
    );
}

#[test]
fn the_checker_accepts_what_is_right_and_refuses_what_is_wrong() {
    let checked = python("selftest.py", &[]);
    assert!(
        checked.status.success(),
        "{}",
        String::from_utf8_lossy(&checked.stderr)
    );
}
