//! Every help text, as a snapshot: it is part of the interface.

use crate::support::run;

fn help(command: &[&str]) -> String {
    let short = run(&[command, &["-h"]].concat()).ok();
    let long = run(&[command, &["--help"]].concat()).ok();
    assert_eq!((short.stderr.as_str(), long.stderr.as_str()), ("", ""), "help goes to stdout");
    let name = [&["headwater"], command].concat().join(" ");
    format!("$ {name} -h\n{}\n$ {name} --help\n{}", short.text(), long.text())
}

#[test]
fn help_texts() {
    let commands: [&[&str]; 18] = [
        &[],
        &["start"],
        &["topic"],
        &["topic", "create"],
        &["topic", "list"],
        &["topic", "describe"],
        &["topic", "alter"],
        &["topic", "delete"],
        &["group"],
        &["group", "list"],
        &["group", "describe"],
        &["group", "delete"],
        &["config"],
        &["config", "describe"],
        &["produce"],
        &["consume"],
        &["export"],
        &["verify"],
    ];
    for command in commands {
        let name = if command.is_empty() { "headwater".to_owned() } else { command.join("-") };
        insta::assert_snapshot!(name, help(command));
    }
}

#[test]
fn no_command_is_left_out() {
    fn count(command: &clap::Command) -> usize {
        1 + command.get_subcommands().map(count).sum::<usize>()
    }
    assert_eq!(count(&headwater_cli::command()), 18, "add the new command to the snapshots");
}

#[test]
fn the_version_is_the_crate_s() {
    assert_eq!(run(&["--version"]).ok().text(), concat!("headwater ", env!("CARGO_PKG_VERSION"), "\n"));
}
