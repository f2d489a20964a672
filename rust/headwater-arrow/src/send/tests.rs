//! Sending into memory: what arrives, and where it stops.

use std::sync::Arc;

use arrow_array::builder::{
    ListBuilder, MapBuilder, StringBuilder, StringDictionaryBuilder, StringRunBuilder,
};
use arrow_array::types::{Int8Type, Int32Type};
use arrow_array::{
    ArrayRef, BinaryArray, DictionaryArray, Float64Array, Int8Array, Int32Array, Int64Array, RecordBatch,
    RecordBatchIterator, StringArray, StructArray, TimestampMicrosecondArray, TimestampSecondArray,
    UInt64Array,
};
use arrow_schema::ArrowError;
use headwater_client::ProduceRecord;

use super::{PlanError, RecordSink, RowProblem, SendColumns, SendError, ValueFormat, send};

/// A record as it arrived.
#[derive(Debug, Default, PartialEq, Eq)]
struct Sent {
    topic: String,
    key: Option<String>,
    value: Option<String>,
    headers: Vec<(String, Option<String>)>,
    partition: Option<i32>,
    timestamp: Option<i64>,
}

#[derive(Debug, PartialEq, Eq)]
struct Full;

/// Keeps everything; has room for so many.
struct Memory {
    sent: Vec<Sent>,
    looked_up: Vec<String>,
    room: usize,
    checks: usize,
}

impl Default for Memory {
    fn default() -> Self {
        Self { sent: Vec::new(), looked_up: Vec::new(), room: usize::MAX, checks: 0 }
    }
}

impl RecordSink for Memory {
    type Topic = String;
    type Error = Full;

    fn topic(&mut self, name: &str) -> Result<String, Full> {
        self.looked_up.push(name.into());
        Ok(name.into())
    }

    fn send(&mut self, topic: &String, record: &ProduceRecord<'_>) -> Result<(), Full> {
        if self.sent.len() == self.room {
            return Err(Full);
        }
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        self.sent.push(Sent {
            topic: topic.clone(),
            key: record.key.map(text),
            value: record.value.map(text),
            headers: record.headers.iter().map(|of| (of.key.to_owned(), of.value.map(text))).collect(),
            partition: record.partition,
            timestamp: record.timestamp,
        });
        Ok(())
    }

    fn check(&mut self) -> Result<(), Full> {
        self.checks += 1;
        Ok(())
    }
}

type Sending = Result<u64, SendError<Full>>;

fn send_all(batches: &[RecordBatch], columns: &SendColumns, sink: &mut Memory) -> Sending {
    let schema = batches[0].schema();
    send(RecordBatchIterator::new(batches.iter().cloned().map(Ok), schema), columns, sink)
}

fn batch<const N: usize>(columns: [(&str, ArrayRef); N]) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true))).unwrap()
}

fn strings<const N: usize>(values: [Option<&str>; N]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

fn columns() -> SendColumns {
    SendColumns { topic: Some("t".into()), ..Default::default() }
}

fn named(name: &str) -> Option<String> {
    Some(name.into())
}

/// The values of a batch whose other columns have no role.
fn values(batch: RecordBatch, columns: &SendColumns) -> Vec<Option<String>> {
    let mut sink = Memory::default();
    let rows = batch.num_rows();
    assert_eq!(send_all(&[batch], columns, &mut sink).unwrap(), rows as u64);
    sink.sent.into_iter().map(|sent| sent.value).collect()
}

fn objects(batch: RecordBatch) -> Vec<String> {
    values(batch, &columns()).into_iter().map(Option::unwrap).collect()
}

#[test]
fn every_role_over_several_batches() {
    let mut headers = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
    headers.keys().append_value("a");
    headers.values().append_null();
    headers.append(true).unwrap();
    headers.append(false).unwrap();
    let rows = batch([
        ("k", strings([Some("x"), None])),
        ("v", Arc::new(BinaryArray::from_opt_vec(vec![None, Some(b"w")]))),
        ("h", Arc::new(headers.finish())),
        ("p", Arc::new(Int8Array::from(vec![Some(3), None]))),
        ("t", Arc::new(TimestampMicrosecondArray::from(vec![Some(1_999), None]))),
    ]);
    let roles = SendColumns {
        key: named("k"),
        value: named("v"),
        headers: named("h"),
        partition: named("p"),
        timestamp: named("t"),
        ..columns()
    };
    let mut sink = Memory::default();
    assert_eq!(send_all(&[rows.slice(1, 1), rows.slice(0, 0), rows], &roles, &mut sink).unwrap(), 3);
    let first = Sent {
        topic: "t".into(),
        key: named("x"),
        headers: vec![("a".into(), None)],
        partition: Some(3),
        timestamp: Some(1),
        ..Sent::default()
    };
    let second = || Sent { topic: "t".into(), value: named("w"), ..Sent::default() };
    assert_eq!(sink.sent, [second(), first, second()]);
    assert_eq!(sink.looked_up, ["t"], "once, whatever the number of rows");
    assert_eq!(sink.checks, 3, "after each batch");
}

#[test]
fn rows_name_their_topics_and_each_is_looked_up_once() {
    let mut runs = StringRunBuilder::<Int32Type>::new();
    runs.extend(["a", "a", "b", "a"].map(Some));
    let mut entries = StringDictionaryBuilder::<Int8Type>::new();
    entries.extend(["a", "a", "b", "a"].map(Some));
    let plain = strings([Some("a"), Some("a"), Some("b"), Some("a")]);
    for topics in [plain, Arc::new(runs.finish()) as ArrayRef, Arc::new(entries.finish())] {
        let rows = batch([("topic", topics), ("v", strings([Some("0"), Some("1"), Some("2"), Some("3")]))]);
        let mut sink = Memory::default();
        let roles = SendColumns { value: named("v"), ..SendColumns::default() };
        send_all(&[rows.clone(), rows], &roles, &mut sink).unwrap();
        let names: Vec<&str> = sink.sent.iter().map(|sent| sent.topic.as_str()).collect();
        assert_eq!(names, ["a", "a", "b", "a", "a", "a", "b", "a"]);
        assert_eq!(sink.looked_up, ["a", "b"]);
    }
}

#[test]
fn a_full_sink_is_asked_for_no_more() {
    let rows = batch([("v", strings([Some("a"), Some("b"), Some("c")]))]);
    let mut sink = Memory { room: 4, ..Memory::default() };
    let failed = send_all(&[rows.clone(), rows], &SendColumns { value: named("v"), ..columns() }, &mut sink);
    assert!(matches!(failed, Err(SendError::Sink { row: 4, source: Full })), "{failed:?}");
    assert_eq!(sink.sent.len(), 4);
}

#[test]
fn a_reader_that_fails_says_where() {
    let rows = batch([("v", strings([Some("a"), Some("b")]))]);
    let schema = rows.schema();
    let data = [Ok(rows), Err(ArrowError::ComputeError("no more".into()))];
    let mut sink = Memory::default();
    let failed = send(RecordBatchIterator::new(data, schema), &columns(), &mut sink).unwrap_err();
    let expected =
        "the data cannot be read from row 2 on: Compute error: no more (the 2 rows before it were sent)";
    assert_eq!(failed.to_string(), expected);
    assert_eq!(sink.sent.len(), 2);
}

#[test]
fn long_batches_are_interrupted_in_between() {
    let rows = batch([("v", Arc::new(Int64Array::from_iter_values(0..10_000)) as ArrayRef)]);
    let mut sink = Memory::default();
    send_all(&[rows], &columns(), &mut sink).unwrap();
    assert_eq!(sink.checks, 3);
}

#[test]
fn nulls_leave_objects_but_not_lists() {
    let mut list = ListBuilder::new(StringBuilder::new());
    list.append_value([Some("x"), None]);
    list.append_null();
    let inner = StructArray::from(batch([("b", strings([None, Some("y")]))]));
    let rows = batch([
        ("l", Arc::new(list.finish())),
        ("s", Arc::new(inner)),
        ("i", Arc::new(Int32Array::from(vec![None, Some(1)]))),
    ]);
    assert_eq!(objects(rows), [r#"{"l":["x",null],"s":{}}"#, r#"{"s":{"b":"y"},"i":1}"#]);
}

#[test]
fn a_dictionary_may_hold_a_null() {
    let entries =
        DictionaryArray::new(Int8Array::from(vec![Some(0), Some(1), None]), strings([Some("x"), None]));
    let all_null = DictionaryArray::new(Int8Array::from(vec![None, None, None]), strings([]));
    let rows = batch([("d", Arc::new(entries)), ("n", Arc::new(all_null))]);
    assert_eq!(objects(rows), [r#"{"d":"x"}"#, "{}", "{}"]);
}

#[test]
fn floats_keep_what_json_lacks() {
    let rows = batch([(
        "f",
        Arc::new(Float64Array::from(vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e21, -0.0])),
    )]);
    assert_eq!(
        objects(rows),
        [r#"{"f":"NaN"}"#, r#"{"f":"Infinity"}"#, r#"{"f":"-Infinity"}"#, r#"{"f":1.0e21}"#, r#"{"f":-0.0}"#]
    );
}

#[test]
fn a_zone_is_written_in_utc_whatever_its_name() {
    let moments = || TimestampMicrosecondArray::from(vec![1_700_000_000_000_001]);
    let rows =
        batch([("local", Arc::new(moments())), ("zone", Arc::new(moments().with_timezone("Mars/Olympus")))]);
    assert_eq!(
        objects(rows),
        [r#"{"local":"2023-11-14T22:13:20.000001","zone":"2023-11-14T22:13:20.000001Z"}"#]
    );
}

#[test]
fn a_single_value_may_be_null() {
    let inner = StructArray::from(batch([("b", strings([Some("x"), Some("y")]))]));
    let (fields, arrays, _) = inner.into_parts();
    let inner = StructArray::new(fields, arrays, Some(vec![true, false].into()));
    let rows = batch([("s", Arc::new(inner)), ("text", strings([Some("\""), None]))]);
    let of = |value: &str, value_format| {
        values(rows.clone(), &SendColumns { value: named(value), value_format, ..columns() })
    };
    assert_eq!(of("s", ValueFormat::ByType), [named(r#"{"b":"x"}"#), None]);
    assert_eq!(of("text", ValueFormat::ByType), [named("\""), None]);
    assert_eq!(of("text", ValueFormat::Json), [named(r#""\"""#), None]);
}

/// What stops the second row of a batch.
fn problem(rows: RecordBatch, roles: SendColumns) -> RowProblem {
    let mut sink = Memory::default();
    let failed = send_all(&[rows], &roles, &mut sink);
    assert_eq!(sink.sent.len(), 1, "{failed:?}");
    match failed {
        Err(SendError::Row { row: 1, problem }) => problem,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_row_that_makes_no_record_stops_the_sending() {
    let v = || ("v", strings([Some("a"), Some("b")]));
    let partitions: [ArrayRef; 3] = [
        Arc::new(Int64Array::from(vec![0, i64::from(i32::MAX) + 1])),
        Arc::new(Int32Array::from(vec![0, -1])),
        Arc::new(UInt64Array::from(vec![0, u64::MAX])),
    ];
    for partition in partitions {
        let found =
            problem(batch([("p", partition), v()]), SendColumns { partition: named("p"), ..columns() });
        assert!(matches!(found, RowProblem::NoPartition { .. }), "{found:?}");
    }
    let timestamps: [ArrayRef; 3] = [
        Arc::new(TimestampSecondArray::from(vec![0, i64::MAX])),
        Arc::new(TimestampMicrosecondArray::from(vec![0, -1])),
        Arc::new(Int64Array::from(vec![0, -1])),
    ];
    for timestamp in timestamps {
        let found =
            problem(batch([("t", timestamp), v()]), SendColumns { timestamp: named("t"), ..columns() });
        assert!(matches!(found, RowProblem::BadTimestamp { .. }), "{found:?}");
    }
    let rows = batch([("topic", strings([Some("t"), None])), v()]);
    let found = problem(rows, SendColumns::default());
    assert!(matches!(found, RowProblem::NoTopic), "{found:?}");
    let rows = batch([("when", Arc::new(TimestampSecondArray::from(vec![0, i64::MAX])) as ArrayRef)]);
    let found = problem(rows, columns());
    let expected = "column `when` is 9223372036854775807, no Timestamp(s) of the calendar";
    assert_eq!(found.to_string(), expected);
}

#[test]
fn wrong_columns_are_told_before_anything_is_sent() {
    let rows = batch([("k", strings([Some("a")])), ("n", Arc::new(Int32Array::from(vec![1])))]);
    let refused = |roles: SendColumns| {
        let mut sink = Memory::default();
        match send_all(std::slice::from_ref(&rows), &roles, &mut sink) {
            Err(SendError::Plan(error)) if sink.sent.is_empty() && sink.looked_up.is_empty() => error,
            other => panic!("{other:?}"),
        }
    };
    let absent = refused(SendColumns { key: named("x"), ..columns() });
    assert_eq!(absent.to_string(), "key: there is no column `x`; the data has `k`, `n`");
    let wrong = refused(SendColumns { key: named("n"), ..columns() });
    assert_eq!(wrong.to_string(), "key: column `n` has type Int32, expected a string or binary type");
    for roles in [
        SendColumns { headers: named("k"), ..columns() },
        SendColumns { partition: named("k"), ..columns() },
        SendColumns { timestamp: named("n"), ..columns() },
    ] {
        assert!(matches!(refused(roles), PlanError::WrongType { .. }));
    }
    let nothing = refused(SendColumns { key: named("k"), partition: named("n"), ..columns() });
    assert!(matches!(nothing, PlanError::NoValue { .. }));
    assert!(matches!(refused(SendColumns::default()), PlanError::NoTopic { .. }));
}
