//! Stops the build with one line if the web page is to be embedded but was not built.

use std::path::Path;

fn main() {
    println!("cargo::rerun-if-changed=src/ui/dist");
    println!("cargo::rerun-if-changed=build.rs");
    let wanted = std::env::var_os("CARGO_FEATURE_PAGE").is_some();
    if wanted && !Path::new("src/ui/dist/index.html").is_file() {
        println!(
            "cargo::error=the web page is not built: run `tools/page` (needs Node 20), or build without it: `--no-default-features`"
        );
    }
}
