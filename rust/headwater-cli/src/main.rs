//! The `headwater` binary: [`headwater_cli::run`] with this process's arguments.

use std::process::ExitCode;

fn main() -> ExitCode {
    let code = headwater_cli::run(std::env::args_os().skip(1).collect());
    // Codes are 0, 1, 2 and 130; anything else would be a bug worth a failing exit.
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}
