//! `cargo xtask <command>`: chores of the project. See [`USAGE`].

use std::path::Path;
use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask <command>

  codegen [--check]   generate the protocol messages from rust/headwater-protocol/schema
  tidy                check the sources for what the compiler does not see
  layers              check that every crate imports from lower tiers only";

fn main() -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."));
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        ["codegen"] => xtask::codegen::run(root, false),
        ["codegen", "--check"] => xtask::codegen::run(root, true),
        ["tidy"] => xtask::tidy::run(root),
        ["layers"] => xtask::layers::run(root),
        _ => Err(USAGE.to_owned()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}
