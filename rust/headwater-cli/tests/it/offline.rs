//! `verify` and `export`, with and without a server.

use crate::support::{run, server};
use parquet::file::reader::{FileReader, SerializedFileReader};
use rustix::process::Signal;
use serde_json::json;
use std::path::{Path, PathBuf};

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

#[test]
fn a_damaged_segment_is_found_with_file_and_position() {
    let (server, directory) = server();
    server.create("t", "1");
    server.run_with(&["produce", "t"], b"first\n").ok();
    server.run_with(&["produce", "t"], b"second\n").ok();
    server.end(Signal::TERM);
    let data = directory.path().join("data");
    let segment = data.join("t-0/00000000000000000000.log");
    let mut bytes = std::fs::read(&segment).unwrap();
    let place = bytes.windows(6).position(|window| window == b"second").unwrap();
    bytes[place] ^= 1;
    std::fs::write(&segment, &bytes).unwrap();
    let done = run(&["verify", data.to_str().unwrap()]);
    assert_eq!(done.code, Some(1));
    let line = done.text().lines().find(|line| line.contains(segment.to_str().unwrap())).unwrap();
    assert!(line.starts_with("error: ") && line.contains(" at byte "), "{line}");
    let done = run(&["verify", data.to_str().unwrap(), "--json"]);
    assert_eq!(done.code, Some(1));
    assert_eq!(done.json()["sound"], json!(false));
    assert!(done.json()["findings"][0]["position"].is_u64());
}

#[test]
fn a_missing_directory_is_not_made() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("missing");
    let done = run(&["verify", missing.to_str().unwrap()]);
    assert_eq!(done.code, Some(1));
    assert!(done.stderr.starts_with("error: there is no directory"), "{done:?}");
    assert!(!missing.exists());
}

#[test]
fn a_topic_is_exported_from_a_server_and_from_its_directory() {
    let (server, directory) = server();
    server.create("t", "2");
    let lines: String = (0..1000).map(|number| format!("{number}:{number}\n")).collect();
    server.run_with(&["produce", "t", "-K", ":"], lines.as_bytes()).ok();
    let online = directory.path().join("online.parquet");
    let online_text = online.to_str().unwrap();
    let report = server.run(&["export", "t", "--to", online_text, "--json"]).ok().json();
    assert_eq!(report["rows"], json!(1000));
    let names: Vec<PathBuf> =
        files(&online).iter().map(|path| path.strip_prefix(&online).unwrap().to_owned()).collect();
    assert!(names.contains(&PathBuf::from("partition=0/part-00000.parquet")), "{names:?}");
    assert!(names.contains(&PathBuf::from("partition=1/part-00000.parquet")), "{names:?}");

    let refused = server.run(&["export", "t", "--to", online_text]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("hint: `--overwrite` replaces it"), "{refused:?}");
    let part =
        server.run(&["export", "t", "--to", online_text, "--overwrite", "--partitions", "1", "--start", "2"]);
    let said = part.ok().stderr;
    assert!(said.starts_with("exported ") && said.contains(" records of `t` to "), "{said}");
    assert_eq!(
        files(&online).iter().filter(|path| path.extension().is_some_and(|e| e == "parquet")).count(),
        1
    );
    let missing = server.run(&["export", "missing", "--to", directory.path().join("x").to_str().unwrap()]);
    assert_eq!(missing.code, Some(1));
    assert!(missing.stderr.starts_with("error: there is no topic `missing`"), "{missing:?}");

    server.end(Signal::TERM);
    let data = directory.path().join("data");
    let before = files(&data);
    let offline = directory.path().join("offline.parquet");
    let arguments =
        ["export", "t", "--data", data.to_str().unwrap(), "--to", offline.to_str().unwrap(), "--json"];
    assert_eq!(run(&arguments).ok().json()["rows"], json!(1000));
    assert_eq!(files(&data), before, "the directory is as it was");
}

#[test]
fn typed_values_are_exported_as_columns() {
    let (server, directory) = server();
    server.create("t", "1");
    let lines = b"{\"carrier\": \"UA\", \"delay\": 1}\n{\"delay\": 2}\nnot json\n";
    server.run_with(&["produce", "t"], lines).ok();
    let target = directory.path().join("t.parquet");
    let export = |more: &[&str]| {
        let fixed = ["export", "t", "--to", target.to_str().unwrap(), "--overwrite"];
        server.run(&[&fixed[..], more].concat())
    };
    let typed = ["--value-format", "json", "--value-schema", "carrier string, delay long"];

    let failed = export(&typed);
    assert_eq!(failed.code, Some(1));
    assert!(
        failed.stderr.starts_with("error: t-0: the value at offset 2 is bad: not one JSON object"),
        "{failed:?}"
    );
    assert!(failed.stderr.contains("hint: `--bad-rows column`"), "{failed:?}");
    assert!(!target.exists());

    export(&[&typed[..], &["--bad-rows", "column", "--columns", "offset,value"]].concat()).ok();
    assert_eq!(columns_of(&target), ["offset", "carrier", "delay", "value_error"]);

    let said = export(&["--value-format", "json", "--sample", "2", "--end", "2"]).ok().stderr;
    assert!(
        said.starts_with("value schema, from 2 records: carrier string, delay long\nexported 2 records"),
        "{said}"
    );
    let names = ["key", "carrier", "delay", "topic", "offset", "timestamp", "timestamp_type", "headers"];
    assert_eq!(columns_of(&target), names);
    let said = export(&["--value-format", "json", "--sample", "2", "--end", "2", "--quiet"]).ok().stderr;
    assert_eq!(said, "");

    for (wrong, message) in [
        (&["--value-schema", "a long"][..], "--value-format"),
        (&["--value-format", "json", "--value-schema", "a number"], "unknown type `number` at character 3"),
        (&["--columns", "delay"], "unknown column `delay`; expected some of key, value, topic"),
    ] {
        let refused = export(wrong);
        assert_eq!(refused.code, Some(2), "{refused:?}");
        assert!(refused.stderr.contains(message), "{refused:?}");
    }
}

/// Names of the columns of an export's first file.
fn columns_of(target: &Path) -> Vec<String> {
    let file = std::fs::File::open(target.join("partition=0/part-00000.parquet")).unwrap();
    let reader = SerializedFileReader::new(file).unwrap();
    let schema = reader.metadata().file_metadata().schema_descr().root_schema().get_fields().to_vec();
    schema.iter().map(|field| field.name().to_owned()).collect()
}

#[test]
fn an_export_of_many_fetches_is_complete() {
    let (server, directory) = server();
    server.create("t", "1");
    // More than one fetch answers, so that several wait while the files are written.
    let lines: String = (0..80_000).map(|number| format!("{number:0>100}\n")).collect();
    server.run_with(&["produce", "t"], lines.as_bytes()).ok();
    let target = directory.path().join("t.parquet");
    let report = server.run(&["export", "t", "--to", target.to_str().unwrap(), "--json"]).ok().json();
    assert_eq!(report["rows"], json!(80_000));
}
