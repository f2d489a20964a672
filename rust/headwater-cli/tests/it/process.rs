//! `start` as a process: signals, kills, locks.

use crate::support::{Server, headwater, run, server, wait};
use rustix::process::Signal;
use std::io::Read;
use std::process::Stdio;

#[test]
fn a_signal_stops_it_in_good_order() {
    for how in [Signal::TERM, Signal::INT] {
        let (server, directory) = server();
        server.create("t", "2");
        server.run_with(&["produce", "t"], b"a\nb\n").ok();
        let (status, rest) = server.end(how);
        assert_eq!((status.code(), rest.as_str()), (Some(0), ""), "exactly one line on stdout");
        let data = directory.path().join("data");
        assert!(data.join(".kafka_cleanshutdown").exists());
        let verified = run(&["verify", data.to_str().unwrap(), "--json"]).ok().json();
        assert_eq!(verified["findings"], serde_json::json!([]), "{verified}");
        let again = Server::start(&data);
        assert_eq!(again.run(&["consume", "t"]).ok().stdout.len(), 4);
    }
}

#[test]
fn after_a_kill_everything_acknowledged_is_there() {
    let (server, directory) = server();
    server.create("t", "1");
    let lines: String = (0..5000).map(|number| format!("{number}\n")).collect();
    server.run_with(&["produce", "t"], lines.as_bytes()).ok();
    let (status, _) = server.end(Signal::KILL);
    assert_eq!(status.code(), None);
    let data = directory.path().join("data");
    let verified = run(&["verify", data.to_str().unwrap()]);
    assert_eq!(verified.code, Some(0), "{verified:?}");
    let again = Server::start(&data);
    assert_eq!(again.run(&["consume", "t"]).ok().text(), lines);
}

#[test]
fn a_directory_in_use_names_its_process() {
    let (server, directory) = server();
    let data = directory.path().join("data");
    let data = data.to_str().unwrap();
    let pid = server.child.id().to_string();
    for arguments in [
        &["start", "--listen", "127.0.0.1:0", "--data", data][..],
        &["verify", data],
        &["export", "t", "--to", "unused", "--data", data],
    ] {
        let done = run(arguments);
        assert_eq!((done.code, done.text()), (Some(1), ""), "{done:?}");
        let error = done.stderr.lines().find(|line| line.starts_with("error: ")).unwrap();
        assert!(error.contains(&format!("process {pid}")), "{done:?}");
        assert!(done.stderr.contains("\nhint: "), "{done:?}");
    }
}

#[test]
fn a_port_in_use_is_explained() {
    let (server, directory) = server();
    let other = directory.path().join("other");
    let done = run(&["start", "--listen", &server.bootstrap, "--data", other.to_str().unwrap()]);
    assert_eq!(done.code, Some(1));
    assert!(done.stderr.contains(&format!("error: cannot listen on {}", server.bootstrap)), "{done:?}");
    assert!(done.stderr.contains("hint: `--listen HOST:0` takes a free port"), "{done:?}");
}

#[test]
fn it_warns_beyond_loopback_and_of_unknown_settings() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("server.properties");
    std::fs::write(&file, "# a comment\nnode.id=7\nno.such.key=1\n").unwrap();
    let mut child = headwater()
        .args([
            "start",
            "--listen",
            "0.0.0.0:0",
            "--advertise",
            "localhost:19092",
            "--log",
            "warn",
            "--config",
        ])
        .arg(&file)
        .arg("--data")
        .arg(directory.path().join("data"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = [0; 1];
    child.stdout.as_mut().unwrap().read_exact(&mut line).unwrap();
    crate::support::signal(&child, Signal::TERM);
    assert_eq!(wait(&mut child).code(), Some(0));
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(said.contains("warning: the setting `no.such.key` is not known"), "{said}");
    assert!(said.contains("warning: listening on `0.0.0.0:0`, beyond this machine, without"), "{said}");
    let properties = std::fs::read_to_string(directory.path().join("data/meta.properties")).unwrap();
    assert!(properties.contains("node.id=7"), "{properties}");
}

#[test]
fn the_log_says_that_it_stops() {
    let directory = tempfile::tempdir().unwrap();
    let mut child = headwater()
        .args(["start", "--listen", "127.0.0.1:0", "--data"])
        .arg(directory.path())
        .spawn()
        .unwrap();
    let mut line = [0; 1];
    child.stdout.as_mut().unwrap().read_exact(&mut line).unwrap();
    crate::support::signal(&child, Signal::INT);
    assert_eq!(wait(&mut child).code(), Some(0));
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(said.contains("stopping signal=\"SIGINT\"") && said.contains("stopped"), "{said}");
    assert!(!said.contains('\u{1b}'), "no colour where nobody sees it");
}
