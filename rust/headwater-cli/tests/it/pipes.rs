//! Pipes: empty, endless, binary, broken.

use crate::support::{server, signal, wait};
use rustix::process::Signal;
use std::io::{BufRead, BufReader, Read, Write};

#[test]
fn odd_inputs_are_records_all_the_same() {
    let (server, _directory) = server();
    for (number, (input, count)) in
        [(&b""[..], 0), (b"\n", 1), (b"no end", 1), (b"a\n\nb", 3), (b"\0\xff\0\n\0", 2)]
            .into_iter()
            .enumerate()
    {
        let topic = format!("t{number}");
        server.create(&topic, "1");
        let done = server.run_with(&["produce", &topic], input).ok();
        let records = if count == 1 { "1 record".to_owned() } else { format!("{count} records") };
        assert_eq!(done.stderr, format!("produced {records} to `{topic}`\n"));
        let mut expected = input.to_vec();
        if !input.is_empty() && !input.ends_with(b"\n") {
            expected.push(b'\n');
        }
        assert_eq!(server.run(&["consume", &topic]).ok().stdout, expected);
    }
}

#[test]
fn one_value_passes_byte_by_byte() {
    let (server, _directory) = server();
    server.create("t", "1");
    // Ends of lines are bytes like others when something else ends a record.
    let value: Vec<u8> = (0..300_000_u32).map(|number| (number % 255) as u8).collect();
    server.run_with(&["produce", "t", "-D", "\\xff"], &value).ok();
    assert_eq!(server.run(&["consume", "t", "--format", "%v"]).ok().stdout, value);
}

#[test]
fn a_line_that_is_too_long_is_refused_without_reading_it_all() {
    let (server, _directory) = server();
    server.create("t", "1");
    let mut input = b"short\n".to_vec();
    input.resize(8 << 20, b'x');
    let done = server.run_with(&["produce", "t"], &input);
    assert_eq!(done.code, Some(1));
    assert!(done.stderr.contains("error: line 2: longer than max.request.size=1048576"), "{done:?}");
    assert!(done.stderr.contains("hint: `-X max.request.size=BYTES`"), "{done:?}");
    assert_eq!(server.run(&["consume", "t"]).ok().stdout, b"short\n");
}

#[test]
fn a_reader_that_has_had_enough_is_no_failure() {
    let (server, _directory) = server();
    server.create("t", "1");
    let line = "x".repeat(1000) + "\n";
    server.run_with(&["produce", "t"], line.repeat(2000).as_bytes()).ok();
    let mut child = server.spawn(&["consume", "t", "--follow"]);
    let mut first = String::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut first).unwrap();
    assert_eq!(first, line);
    drop(stdout);
    assert_eq!(wait(&mut child).code(), Some(0));
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(said, "");
}

#[test]
fn a_filter_delivers_while_its_input_goes_on() {
    let (server, _directory) = server();
    server.create("t", "1");
    let mut producer = server.spawn(&["produce", "t"]);
    let mut consumer = server.spawn(&["consume", "t", "--follow"]);
    let mut input = producer.stdin.take().unwrap();
    let mut output = BufReader::new(consumer.stdout.take().unwrap());
    for number in 0..3 {
        writeln!(input, "line {number}").unwrap();
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        assert_eq!(line, format!("line {number}\n"), "there before the input has ended");
    }
    drop(input);
    assert_eq!(wait(&mut producer).code(), Some(0));
    signal(&consumer, Signal::INT);
    assert_eq!(wait(&mut consumer).code(), Some(130));
}

#[test]
fn an_interrupted_producer_delivers_what_it_has_read() {
    let (server, _directory) = server();
    server.create("t", "1");
    let mut producer = server.spawn(&["produce", "t", "-X", "linger.ms=3000"]);
    let mut input = producer.stdin.take().unwrap();
    writeln!(input, "read").unwrap();
    // The record lingers: the signal comes before it would be sent.
    std::thread::sleep(std::time::Duration::from_millis(800));
    signal(&producer, Signal::TERM);
    assert_eq!(wait(&mut producer).code(), Some(130));
    assert_eq!(server.run(&["consume", "t"]).ok().stdout, b"read\n");
}

#[test]
fn a_consumer_whose_output_is_stuck_hears_signals() {
    let (server, _directory) = server();
    server.create("t", "1");
    let line = "x".repeat(1000) + "\n";
    server.run_with(&["produce", "t"], line.repeat(3000).as_bytes()).ok();
    // Nobody reads its stdout, so its thread that writes waits for ever.
    let mut consumer = server.spawn(&["consume", "t"]);
    std::thread::sleep(std::time::Duration::from_millis(800));
    signal(&consumer, Signal::INT);
    assert_eq!(wait(&mut consumer).code(), Some(130));
}

#[test]
fn a_second_signal_does_not_wait() {
    let (server, _directory) = server();
    server.create("t", "1");
    let line = "x".repeat(1000) + "\n";
    server.run_with(&["produce", "t"], line.repeat(3000).as_bytes()).ok();
    let mut consumer = server.spawn(&["consume", "t"]);
    std::thread::sleep(std::time::Duration::from_millis(800));
    let start = std::time::Instant::now();
    signal(&consumer, Signal::INT);
    std::thread::sleep(std::time::Duration::from_millis(200));
    signal(&consumer, Signal::INT);
    assert_eq!(wait(&mut consumer).code(), Some(130));
    assert!(start.elapsed().as_secs() < 2, "the farewell takes longer than that");
}
