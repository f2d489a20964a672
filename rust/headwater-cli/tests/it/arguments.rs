//! Arguments that make no sense: exit code 2, a sentence on stderr, nothing on stdout.

use crate::support::run;

#[test]
fn wrong_arguments_are_explained() {
    for (arguments, words) in [
        (&["topics"][..], "unrecognized subcommand 'topics'"),
        (&["topic", "create"], "<TOPIC>..."),
        (&["topic", "create", "t", "--partitions", "0"], "0 is not in 1.."),
        (&["topic", "create", "t", "-c", "retention"], "expected KEY=VALUE"),
        (&["topic", "alter", "t"], "--partitions"),
        (&["config", "describe"], "--topic"),
        (&["config", "describe", "--topic", "t", "--broker", "1"], "cannot be used with"),
        (&["produce"], "<TOPIC>"),
        (&["produce", "t", "--json", "--key-separator", ":"], "cannot be used with"),
        (&["produce", "t", "--key-separator", ""], "a separator cannot be empty"),
        (&["produce", "t", "-z", "brotli"], "expected none, gzip, snappy, lz4 or zstd"),
        (&["produce", "t", "--timestamp", "soon"], "expected a time"),
        (&["produce", "t", "-X", "linger.ms=soon"], "linger.ms expects a number of milliseconds"),
        (&["produce", "t", "-X", "acks.all=1"], "unknown setting acks.all"),
        (&["consume", "t", "--format", "%x"], "there is no placeholder `%x`"),
        (&["consume", "t", "--from", "somewhere"], "expected beginning, end, an offset"),
        (&["consume", "t", "--group", "g", "--partition", "0"], "cannot be used with"),
        (&["consume", "t", "--group", "g", "--from", "7"], "can only be `beginning` or `end`"),
        (&["consume", "t", "--bootstrap", "nowhere"], "`--bootstrap` expects HOST:PORT, got `nowhere`"),
        (&["export", "t"], "--to <DIR>"),
        (&["export", "t", "--to", "d", "--zstd-level", "99"], "99 is not in 1..=22"),
        (&["verify"], "<DIR>"),
        (&["start", "--listen", "here"], "`--listen` expects HOST:PORT, got `here`"),
        (&["start", "-c", "ssl.keystore.location=/k"], "`ssl.keystore.location` is not supported"),
        (&["start", "-c", "log.segment.bytes=10"], "invalid value `10` for `log.segment.bytes`"),
    ] {
        let done = run(arguments);
        assert_eq!(done.code, Some(2), "{arguments:?}: {done:?}");
        assert!(done.stderr.starts_with("error: ") && done.stderr.contains(words), "{arguments:?}: {done:?}");
        assert_eq!(done.text(), "", "{arguments:?}");
    }
}

#[test]
fn a_dead_server_is_noticed_within_seconds() {
    // Nothing listens on port 1 of this machine.
    let commands = [&["topic", "list"][..], &["produce", "t"], &["consume", "t"], &["group", "list"]];
    let start = std::time::Instant::now();
    let outcomes = std::thread::scope(|scope| {
        let runs = commands
            .map(|command| scope.spawn(move || run(&[command, &["--bootstrap", "127.0.0.1:1"]].concat())));
        runs.map(|run| run.join().unwrap())
    });
    assert!(start.elapsed().as_secs() < 15);
    for done in outcomes {
        assert_eq!(done.code, Some(1), "{done:?}");
        let lines: Vec<&str> = done.stderr.lines().collect();
        assert_eq!(lines.len(), 2, "{done:?}");
        assert!(lines[0].starts_with("error: no server answers at `127.0.0.1:1`: "), "{done:?}");
        assert!(lines[1].starts_with("hint: `headwater start` runs a server"), "{done:?}");
    }
}

#[test]
fn one_process_may_run_many_commands() {
    let run = |arguments: &[&str]| headwater_cli::run(arguments.iter().map(Into::into).collect());
    for _ in 0..3 {
        assert_eq!(run(&["verify", "/does/not/exist", "--log", "debug"]), 1);
        assert_eq!(run(&["verify"]), 2);
        assert_eq!(run(&["--version"]), 0);
    }
    std::thread::scope(|scope| {
        let both = [0, 1].map(|_| scope.spawn(|| run(&["verify", "/does/not/exist"])));
        assert_eq!(both.map(|thread| thread.join().unwrap()), [1, 1]);
    });
}
