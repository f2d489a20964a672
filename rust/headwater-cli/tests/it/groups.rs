//! Consuming as a member of a group, and looking at groups.

use crate::support::{server, signal, wait};
use rustix::process::Signal;
use serde_json::json;
use std::io::{BufRead, BufReader};

#[test]
fn a_group_goes_on_where_it_was() {
    let (server, _directory) = server();
    server.create("t", "2");
    let both = |text: &[u8]| {
        let mut lines: Vec<String> =
            String::from_utf8(text.to_vec()).unwrap().lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    server.run_with(&["produce", "t", "-p", "0"], b"a\nb\n").ok();
    server.run_with(&["produce", "t", "-p", "1"], b"c\n").ok();
    let first = server.run(&["consume", "t", "--group", "g"]).ok();
    assert_eq!(both(&first.stdout), ["a", "b", "c"]);
    assert_eq!(server.run(&["consume", "t", "--group", "g"]).ok().text(), "", "all of it is committed");
    server.run_with(&["produce", "t", "-p", "0"], b"d\ne\nf\n").ok();
    assert_eq!(server.run(&["consume", "t", "--group", "g", "-n", "1"]).ok().text(), "d\n");

    let described = server.run(&["group", "describe", "g", "--json"]).ok().json();
    assert_eq!(described["state"], "Empty");
    let row = &described["offsets"][0];
    assert_eq!((&row["committed"], &row["end_offset"], &row["lag"]), (&json!(3), &json!(5), &json!(2)));
    assert_eq!(server.run(&["consume", "t", "--group", "g"]).ok().text(), "e\nf\n");

    let listed = server.run(&["group", "list", "--json"]).ok().json();
    assert_eq!(listed[0]["group"], "g");
    assert!(server.run(&["group", "list"]).ok().text().contains("\ng "));
    server.run(&["group", "delete", "g"]).ok();
    assert_eq!(server.run(&["group", "list", "--json"]).ok().json(), json!([]));
    server.run(&["group", "delete", "g", "--if-exists"]).ok();
}

#[test]
fn a_group_with_members_shows_them_and_cannot_be_deleted() {
    let (server, _directory) = server();
    server.create("t", "1");
    server.run_with(&["produce", "t"], b"a\n").ok();
    let mut member = server.spawn(&["consume", "t", "--group", "g", "--follow"]);
    let mut line = String::new();
    BufReader::new(member.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "a\n");
    let described = server.run(&["group", "describe", "g", "--json"]).ok().json();
    assert_eq!(described["state"], "Stable");
    assert_eq!(described["members"].as_array().unwrap().len(), 1);
    assert_eq!(described["offsets"][0]["member"], described["members"][0]["id"]);
    assert!(server.run(&["group", "describe", "g"]).ok().text().contains("MEMBER"));
    let refused = server.run(&["group", "delete", "g"]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("hint: stop its members first"), "{refused:?}");
    signal(&member, Signal::TERM);
    assert_eq!(wait(&mut member).code(), Some(130));
    assert_eq!(server.run(&["consume", "t", "--group", "g"]).ok().text(), "", "it committed on its way out");
}
