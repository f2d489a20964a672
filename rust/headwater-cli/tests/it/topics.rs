//! Topics and settings over a real connection.

use crate::support::server;
use serde_json::json;

#[test]
fn topics_come_change_and_go() {
    let (server, _directory) = server();
    assert_eq!(server.run(&["topic", "list", "--json"]).ok().json(), json!([]));
    let done =
        server.run(&["topic", "create", "flights", "--partitions", "3", "-c", "retention.ms=-1", "--json"]);
    let created = done.ok().json();
    assert_eq!(created[0]["name"], "flights");
    assert_eq!((&created[0]["created"], &created[0]["partitions"]), (&json!(true), &json!(3)));

    let listed = server.run(&["topic", "list", "--json"]).ok().json();
    assert_eq!(listed[0]["id"], created[0]["id"]);
    assert_eq!((&listed[0]["partitions"], &listed[0]["replication_factor"]), (&json!(3), &json!(1)));
    let table = server.run(&["topic", "list"]).ok();
    let cells: Vec<&str> = table.text().lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(cells[..3], ["flights", "3", "1"]);

    server.run_with(&["produce", "flights", "--partition", "2"], b"a\nb\n").ok();
    let described = server.run(&["topic", "describe", "flights", "--json"]).ok().json();
    assert_eq!(described[0]["configs"], json!({"retention.ms": "-1"}));
    let last = &described[0]["partitions"][2];
    assert_eq!((&last["start_offset"], &last["end_offset"]), (&json!(0), &json!(2)));
    let table = server.run(&["topic", "describe", "flights"]).ok();
    assert!(table.text().contains("retention.ms=-1\nPARTITION  LEADER"), "{}", table.text());

    server.run(&["topic", "alter", "flights", "--partitions", "5", "--reset", "retention.ms"]).ok();
    server.run(&["topic", "alter", "flights", "-c", "segment.bytes=2000000"]).ok();
    let described = server.run(&["topic", "describe", "flights", "--json"]).ok().json();
    assert_eq!(described[0]["configs"], json!({"segment.bytes": "2000000"}));
    assert_eq!(described[0]["partitions"].as_array().unwrap().len(), 5);

    server.run(&["topic", "delete", "flights"]).ok();
    assert_eq!(server.run(&["topic", "list", "--json"]).ok().json(), json!([]));
}

#[test]
fn refusals_are_one_sentence_and_a_hint() {
    let (server, _directory) = server();
    server.create("there", "1");
    for (arguments, error, hint) in [
        (&["topic", "create", "there"][..], "TOPIC_ALREADY_EXISTS", "--if-not-exists"),
        (&["topic", "describe", "missing"], "UNKNOWN_TOPIC_OR_PARTITION", "headwater topic list"),
        (&["topic", "delete", "missing"], "UNKNOWN_TOPIC_OR_PARTITION", "headwater topic list"),
        (&["topic", "create", "two", "--replication-factor", "2"], "INVALID_REPLICATION_FACTOR", "brokers"),
        (&["consume", "missing"], "there is no topic `missing`", "headwater topic list"),
        (&["group", "describe", "missing"], "missing", "headwater group list"),
    ] {
        let done = server.run(arguments);
        assert_eq!((done.code, done.text()), (Some(1), ""), "{arguments:?}: {done:?}");
        let lines: Vec<&str> = done.stderr.lines().collect();
        assert_eq!(lines.len(), 2, "{done:?}");
        assert!(lines[0].starts_with("error: ") && lines[0].contains(error), "{done:?}");
        assert!(lines[1].starts_with("hint: ") && lines[1].contains(hint), "{done:?}");
    }
    server.run(&["topic", "create", "there", "--if-not-exists"]).ok();
    server.run(&["topic", "delete", "missing", "--if-exists"]).ok();
    let done = server.run(&["topic", "create", "no/such", "there"]);
    assert_eq!(done.code, Some(1));
    assert_eq!(done.stderr.matches("error: ").count(), 2, "each failure is said: {done:?}");
}

#[test]
fn settings_are_shown_with_their_source() {
    let (server, _directory) = server();
    server.run(&["topic", "create", "t", "-c", "retention.ms=-1"]).ok();
    let all = server.run(&["config", "describe", "--topic", "t", "--json"]).ok().json();
    assert!(all.as_array().unwrap().len() > 20);
    let changed = server.run(&["config", "describe", "--topic", "t", "--changed", "--json"]).ok().json();
    assert_eq!(changed.as_array().unwrap().len(), 1, "{changed}");
    assert_eq!((&changed[0]["name"], &changed[0]["source"]), (&json!("retention.ms"), &json!("topic")));
    let broker = server.run(&["config", "describe", "--broker", "1"]).ok();
    assert!(broker.text().lines().any(|line| line.starts_with("num.partitions ")), "{}", broker.text());
}
