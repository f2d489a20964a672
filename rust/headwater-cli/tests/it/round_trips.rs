//! What goes in comes out: values, keys, headers, times, in order.

use crate::support::{Server, json_lines, server};
use serde_json::{Value, json};

fn values(server: &Server, arguments: &[&str]) -> Vec<u8> {
    server.run(&[&["consume"], arguments].concat()).ok().stdout
}

#[test]
fn lines_come_back_in_order() {
    let (server, _directory) = server();
    server.create("t", "1");
    let lines: String = (0..20_000).map(|number| format!("{number}\n")).collect();
    let done = server.run_with(&["produce", "t", "-z", "zstd"], lines.as_bytes()).ok();
    assert_eq!(done.stderr, "produced 20000 records to `t`\n");
    assert_eq!(done.text(), "");
    assert_eq!(values(&server, &["t"]), lines.as_bytes());
    assert_eq!(values(&server, &["t", "--from", "-3"]), b"19997\n19998\n19999\n");
    assert_eq!(values(&server, &["t", "--from", "19999"]), b"19999\n");
    assert_eq!(values(&server, &["t", "--from", "end"]), b"");
    assert_eq!(values(&server, &["t", "-n", "2"]), b"0\n1\n");
    assert_eq!(values(&server, &["t", "-n", "0"]), b"");
    assert_eq!(values(&server, &["t", "--from", "5", "-n", "1", "--format", "%p/%o %S"]), b"0/5 1");
}

#[test]
fn keys_headers_times_and_nulls() {
    let (server, _directory) = server();
    server.create("t", "1");
    let options = ["-K", "\\t", "-Z", "NULL", "-H", "a=1", "-H", "a", "--timestamp", "2013-01-01T10:15:00Z"];
    let lines = "k\tv\tw\nNULL\tNULL\n\t\n";
    server.run_with(&[&["produce", "t"][..], &options].concat(), lines.as_bytes()).ok();
    let record = |offset: i64, key: Value, value: Value| {
        json!({
            "topic": "t", "partition": 0, "offset": offset, "timestamp": 1_357_035_300_000_i64, "key": key,
            "value": value, "headers": [{"key": "a", "value": "1"}, {"key": "a", "value": null}],
        })
    };
    let expected = [
        record(0, json!("k"), json!("v\tw")),
        record(1, Value::Null, Value::Null),
        record(2, json!(""), json!("")),
    ];
    assert_eq!(json_lines(&values(&server, &["t", "--json"])), expected);
    let shown = values(&server, &["t", "-Z", "-", "--format", "%k|%v|%h|%T|%D|%K|%S\\n", "-n", "2"]);
    assert_eq!(
        String::from_utf8(shown).unwrap(),
        "k|v\tw|a=1,a=-|1357035300000|2013-01-01T10:15:00.000Z|1|3\n\
         -|-|a=1,a=-|1357035300000|2013-01-01T10:15:00.000Z|-1|-1\n"
    );
    assert_eq!(values(&server, &["t", "--from", "2013-01-02", "--json"]), b"");
    assert_eq!(json_lines(&values(&server, &["t", "--from", "@0", "--json"])).len(), 3);
}

#[test]
fn json_lines_copy_a_topic_byte_by_byte() {
    let (server, _directory) = server();
    server.create("from", "2");
    server.create("to", "2");
    let lines = concat!(
        r#"{"key_base64":"/wA=","value_base64":"AP/+","headers":[{"key":"h","value_base64":"gA=="}],"timestamp":7,"partition":1}"#,
        "\n",
        r#"{"value":{"a": 1.50},"headers":{"x":"y"},"partition":1}"#,
        "\n",
        r#"{"value":null,"key":"tombstone","partition":0}"#,
        "\n",
    );
    server.run_with(&["produce", "from", "--json"], lines.as_bytes()).ok();
    let first = values(&server, &["from", "--json"]);
    server.run_with(&["produce", "to", "--json"], &first).ok();
    let sorted = |topic| {
        let mut lines = json_lines(&values(&server, &[topic, "--json"]));
        lines.iter_mut().for_each(|line| drop(line.as_object_mut().unwrap().remove("topic")));
        lines.sort_by_key(|line| (line["partition"].as_i64(), line["offset"].as_i64()));
        lines
    };
    let (before, after) = (sorted("from"), sorted("to"));
    assert_eq!(before, after);
    assert_eq!(before[1]["value_base64"], "AP/+");
    assert_eq!(before[2]["value"], "{\"a\": 1.50}", "the text of the JSON, as it stood in the line");
}

#[test]
fn partitions_can_be_chosen() {
    let (server, _directory) = server();
    server.create("t", "3");
    for partition in ["0", "1", "2"] {
        server.run_with(&["produce", "t", "-p", partition], format!("{partition}\n").as_bytes()).ok();
    }
    assert_eq!(values(&server, &["t", "-p", "1"]), b"1\n");
    let mut both: Vec<u8> = values(&server, &["t", "-p", "0,2"]);
    both.sort_unstable();
    assert_eq!(both, b"\n\n02");
    let done = server.run(&["consume", "t", "-p", "9"]);
    assert_eq!(done.code, Some(2));
    assert!(done.stderr.contains("`t` has 3 partitions, there is no partition 9"), "{done:?}");
    let done = server.run_with(&["produce", "t", "-p", "9"], b"x\n");
    assert_eq!(done.code, Some(1));
    assert!(done.stderr.contains("error: line 1: topic t has 3 partitions"), "{done:?}");
}

#[test]
fn the_first_bad_line_stops_and_is_named() {
    let (server, _directory) = server();
    server.create("t", "1");
    let done = server.run_with(&["produce", "t", "-K", ":"], b"a:1\nb:2\nc\nd:4\n");
    assert_eq!(done.code, Some(1));
    assert_eq!(done.stderr, "produced 2 records to `t`\nerror: line 3: no key separator `:` in it\n");
    let done = server.run_with(&["produce", "t", "--json"], b"{\"value\":\"x\"}\n{\"valeu\":1}\n");
    assert_eq!(done.code, Some(1));
    assert!(done.stderr.contains("error: line 2: unknown field `valeu`"), "{done:?}");
    assert_eq!(values(&server, &["t"]), b"1\n2\nx\n", "what came before is there");
}
