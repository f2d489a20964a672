//! Values with types: against `serde_json` as the oracle, with hostile values between good ones.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int32Type, Int64Type};
use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, Field, TimeUnit};
use headwater_arrow::source::PartitionSource;
use headwater_arrow::*;
use headwater_record::Compression;
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::model::{Batch, partition, source};

const DDL: &str = "a long, b double, c string, d boolean, e array<int>, f struct<x: long, y: array<string>>, \
                   g map<string, long>";

fn schema() -> ValueSchema {
    ValueSchema::parse(DDL).unwrap()
}

/// Partition 0 with these values from offset 100 on, in batches of seven records.
fn sources_of(values: &[Option<Vec<u8>>], codec: Compression) -> Vec<Box<dyn PartitionSource>> {
    let batches: Vec<Batch> = values
        .chunks(7)
        .map(|values| Batch {
            codec,
            append_time: None,
            gap: 0,
            records: values.iter().map(|value| (0, None, value.clone(), vec![])).collect(),
        })
        .collect();
    vec![source("t", 0, &partition("t", 0, 100, &batches).0)]
}

fn plan_of(projection: Projection, rows: usize) -> ScanPlan {
    let limits = BatchLimits { rows, ..BatchLimits::default() };
    ScanPlan { projection, limits, ..ScanPlan::default() }
}

fn read(
    values: &[Option<Vec<u8>>],
    names: Option<&[&str]>,
    bad_rows: BadRows,
    rows: usize,
    layout: BytesLayout,
) -> Result<Vec<RecordBatch>, ScanError> {
    let projection = Projection::with_values(names, &schema(), bad_rows, layout).unwrap();
    let mut scan = Scan::new(plan_of(projection, rows), sources_of(values, Compression::Lz4)).unwrap();
    std::iter::from_fn(|| scan.next_batch().transpose()).collect()
}

/// A cell as JSON.
fn cell(array: &dyn Array, row: usize) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    match array.data_type() {
        DataType::Int32 => json!(array.as_primitive::<Int32Type>().value(row)),
        DataType::Int64 => json!(array.as_primitive::<Int64Type>().value(row)),
        DataType::Float64 => json!(array.as_primitive::<Float64Type>().value(row)),
        DataType::Utf8 => json!(array.as_string::<i32>().value(row)),
        DataType::Boolean => json!(array.as_boolean().value(row)),
        DataType::List(_) => {
            let items = array.as_list::<i32>().value(row);
            (0..items.len()).map(|at| cell(&items, at)).collect()
        }
        DataType::Struct(fields) => {
            let columns = fields.iter().zip(array.as_struct().columns());
            columns.map(|(field, column)| (field.name().clone(), cell(column, row))).collect()
        }
        DataType::Map(_, _) => {
            let entries = array.as_map().value(row);
            let (keys, values) = (entries.column(0).as_string::<i32>(), entries.column(1));
            (0..entries.len()).map(|at| (keys.value(at).to_owned(), cell(values, at))).collect()
        }
        other => panic!("no {other} in the schema"),
    }
}

/// What the type makes of a JSON value; `None` if it refuses it.
fn expected(data_type: &DataType, value: &Value) -> Option<Value> {
    if value.is_null() {
        return Some(Value::Null);
    }
    match data_type {
        DataType::Int64 => Some(json!(whole(value)?)),
        DataType::Int32 => Some(json!(i32::try_from(whole(value)?).ok()?)),
        DataType::Float64 => Some(json!(value.as_number()?.as_f64()?)),
        DataType::Utf8 => Some(json!(value.as_str().map_or_else(|| value.to_string(), str::to_owned))),
        DataType::Boolean => Some(json!(value.as_bool()?)),
        DataType::List(item) => {
            value.as_array()?.iter().map(|value| expected(item.data_type(), value)).collect()
        }
        DataType::Struct(fields) => {
            let object = value.as_object()?;
            let field = |field: &Arc<Field>| {
                let value = object.get(field.name()).unwrap_or(&Value::Null);
                Some((field.name().clone(), expected(field.data_type(), value)?))
            };
            fields.iter().map(field).collect()
        }
        DataType::Map(_, _) => {
            let object = value.as_object()?.iter();
            object.map(|(name, value)| Some((name.clone(), expected(&DataType::Int64, value)?))).collect()
        }
        other => panic!("no {other} in the schema"),
    }
}

fn whole(value: &Value) -> Option<i64> {
    let number = value.as_number()?;
    number.as_i64().or_else(|| {
        let double = number.as_f64().filter(|_| number.is_f64())?;
        (double.fract() == 0.0 && double.abs() <= 9e15).then_some(double as i64)
    })
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-5i64..5).prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-5i32..5).prop_map(|number| json!(f64::from(number))),
        any::<f64>()
            .prop_filter("JSON has no such numbers", |number| number.is_finite())
            .prop_map(|n| json!(n)),
        ".{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            btree_map("[xyz\"\\\\é]", inner, 0..4).prop_map(|map| map.into_iter().collect()),
        ]
    })
}

/// A value that suits the field more often than not.
fn field_value(data_type: &DataType) -> BoxedStrategy<Value> {
    let good = match data_type {
        DataType::Int64 => any::<i64>().prop_map(Value::from).boxed(),
        DataType::Int32 => any::<i32>().prop_map(Value::from).boxed(),
        DataType::Float64 => any::<i32>().prop_map(|number| json!(f64::from(number) / 8.0)).boxed(),
        DataType::Utf8 => any::<String>().prop_map(Value::from).boxed(),
        DataType::Boolean => any::<bool>().prop_map(Value::from).boxed(),
        DataType::List(item) => vec(field_value(item.data_type()), 0..3).prop_map(Value::from).boxed(),
        DataType::Struct(fields) => object_of(fields.iter().cloned().collect()),
        DataType::Map(_, _) => btree_map("[a-c]{0,2}", any::<i64>(), 0..3).prop_map(|map| json!(map)).boxed(),
        other => panic!("no {other} in the schema"),
    };
    prop_oneof![20 => good, 1 => any_json()].boxed()
}

fn object_of(fields: Vec<Arc<Field>>) -> BoxedStrategy<Value> {
    let present: Vec<_> = fields.iter().map(|field| option::of(field_value(field.data_type()))).collect();
    (present, option::of(any_json()))
        .prop_map(move |(values, extra)| {
            let known = fields.iter().map(|field| field.name().clone()).zip(values);
            let all = known.chain([("extra".to_owned(), extra)]);
            all.filter_map(|(name, value)| Some((name, value?))).collect()
        })
        .boxed()
}

/// A record's value, and the row it should become: `Err` if it is bad.
type Case = (Option<Vec<u8>>, Result<Value, ()>);

fn case() -> impl Strategy<Value = Case> {
    let fields = schema().fields().clone();
    let data_type = DataType::Struct(fields.clone());
    let nulls = expected(&data_type, &json!({})).unwrap();
    let object = (object_of(fields.iter().cloned().collect()), any::<bool>());
    let good = object.prop_map(move |(value, pretty)| {
        let text = if pretty { serde_json::to_vec_pretty(&value) } else { serde_json::to_vec(&value) };
        (Some(text.unwrap()), expected(&data_type, &value).ok_or(()))
    });
    let hostile = prop::sample::select(HOSTILE).prop_map(|text| (Some(text.to_vec()), Err(())));
    prop_oneof![10 => good, 1 => hostile, 1 => Just((None, Ok(nulls)))]
}

/// Values that are not one JSON object.
const HOSTILE: &[&[u8]] = &[
    b"",
    b" ",
    b"null",
    b"[]",
    b"[{}]",
    b"1",
    b"\"{}\"",
    b"{",
    b"}",
    b"{}{}",
    b"{} {\"a\": 1}",
    b"{}]",
    b"{\"a\": 1",
    b"{\"a\": \"",
    b"{\"a\": \"\\",
    b"{\"a\": \"\\ud800",
    b"{\"a\": \"\\ud800\\u0041\"}",
    b"{\"a\": 1}, ",
    b"{\"a\": 1,}",
    b"{,}",
    b"{\"a\" 1}",
    b"{\"a\": 1 \"b\": 2}",
    b"{\"e\": [1 2]}",
    b"{\"a\": 1-2}",
    b"{\"a\": +1}",
    b"{\"a\": 01}",
    b"{\"a\": 1.}",
    b"{\"a\": nul}",
    b"{\"a\": 1, \"a\": 1}",
    b"{\"f\": {\"x\": 1, \"x\": 1}}",
    b"{\"c\": \"\xff\"}",
    b"{\"\xc3\": 1}",
    b"{\"c\": \"\n\"}",
    b"\xef\xbb\xbf{}",
    b"{\"b\": 1e999}",
];

fn check_column_mode(cases: &[Case], batches: &[RecordBatch]) {
    let mut rows = cases.iter();
    for batch in batches {
        let errors = batch.column_by_name("value_error").unwrap();
        for row in 0..batch.num_rows() {
            let (text, expected) = rows.next().unwrap();
            let fields = schema().fields().clone();
            let found: Value = fields
                .iter()
                .map(|field| (field.name().clone(), cell(batch.column_by_name(field.name()).unwrap(), row)))
                .collect();
            let shown = || String::from_utf8_lossy(text.as_deref().unwrap_or_default()).into_owned();
            match expected {
                Ok(expected) => {
                    assert!(errors.is_null(row), "{}: {}", shown(), cell(errors, row));
                    assert_eq!(found, *expected, "{}", shown());
                }
                Err(()) => {
                    assert!(errors.is_valid(row), "{}", shown());
                    assert!(found.as_object().unwrap().values().all(Value::is_null), "{}", shown());
                }
            }
        }
    }
    assert!(rows.next().is_none(), "rows are missing");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn rows_agree_with_serde_json(
        cases in vec(case(), 0..60),
        rows in 1usize..70,
        layout in prop::sample::select(vec![BytesLayout::Binary, BytesLayout::View]),
    ) {
        let values: Vec<_> = cases.iter().map(|(value, _)| value.clone()).collect();
        let batches = read(&values, None, BadRows::Column, rows, layout).unwrap();
        check_column_mode(&cases, &batches);

        // To fail, it takes the first bad row, and it is named.
        match cases.iter().position(|(_, expected)| expected.is_err()) {
            None => {
                read(&values, None, BadRows::Fail, rows, layout).unwrap();
            }
            Some(bad) => match read(&values, None, BadRows::Fail, rows, layout).unwrap_err() {
                ScanError::Decode(DecodeError::BadValue { topic, partition, offset, .. }) => {
                    prop_assert_eq!((&*topic, partition, offset), ("t", 0, 100 + bad as i64));
                }
                other => panic!("{other}"),
            },
        }
    }

    #[test]
    fn noise_is_one_row_each(noise in vec("[\\{\\}\\[\\]\",:0-9eE.+ \\-a-f\\\\untrls]{0,12}", 0..40)) {
        let values: Vec<_> = noise.iter().map(|text| Some(text.clone().into_bytes())).collect();
        let batches = read(&values, None, BadRows::Column, 1000, BytesLayout::Binary).unwrap();
        let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
        prop_assert_eq!(rows, noise.len());
        for batch in batches {
            let errors = batch.column_by_name("value_error").unwrap();
            for (row, text) in noise.iter().enumerate() {
                let object = serde_json::from_str::<Value>(text).is_ok_and(|value| value.is_object());
                // What the oracle takes may still have the wrong types or a field twice.
                prop_assert!(object || errors.is_valid(row), "{}", text);
            }
        }
    }

    #[test]
    fn a_schema_is_what_its_text_says(fields in vec(any_type(), 1..6)) {
        let names = ["a", "B_1", "with space", "back`tick", "1st", "ü", ""];
        let fields = fields.into_iter().zip(names).map(|(data_type, name)| Field::new(name, data_type, true));
        let schema = ValueSchema::new(&fields.collect()).unwrap();
        let again = ValueSchema::parse(&schema.to_string());
        prop_assert_eq!(again.as_ref(), Ok(&schema), "{}", schema);
    }

    #[test]
    fn any_text_is_a_schema_or_an_error(text in "[a-c<>(),:\\[\\]` 0-9µ]{0,20}|(array<|struct<a:|map<int,|decimal\\(){0,300}") {
        if let Ok(schema) = ValueSchema::parse(&text) {
            prop_assert_eq!(ValueSchema::parse(&schema.to_string()), Ok(schema));
        }
    }
}

fn any_type() -> impl Strategy<Value = DataType> {
    let zone = || Some("UTC".into());
    let leaves = vec![
        DataType::Boolean,
        DataType::Int8,
        DataType::Int16,
        DataType::Int32,
        DataType::Int64,
        DataType::UInt8,
        DataType::UInt16,
        DataType::UInt32,
        DataType::UInt64,
        DataType::Float32,
        DataType::Float64,
        DataType::Utf8,
        DataType::LargeUtf8,
        DataType::Utf8View,
        DataType::Binary,
        DataType::LargeBinary,
        DataType::BinaryView,
        DataType::Date32,
        DataType::Timestamp(TimeUnit::Microsecond, zone()),
        DataType::Timestamp(TimeUnit::Microsecond, None),
        DataType::Timestamp(TimeUnit::Second, None),
        DataType::Timestamp(TimeUnit::Nanosecond, Some("+02:00".into())),
        DataType::Decimal32(9, 2),
        DataType::Decimal64(18, 0),
        DataType::Decimal128(38, 10),
        DataType::Decimal256(76, 76),
    ];
    prop::sample::select(leaves).prop_recursive(4, 12, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|item| DataType::List(Arc::new(Field::new("element", item, true)))),
            inner.clone().prop_map(|item| DataType::LargeList(Arc::new(Field::new("element", item, true)))),
            vec(inner.clone(), 1..4).prop_map(|types| {
                let field = |(index, data_type)| Field::new(format!("f{index}"), data_type, true);
                DataType::Struct(types.into_iter().enumerate().map(field).collect())
            }),
            inner.prop_map(|value| {
                let pair = vec![Field::new("key", DataType::Utf8, false), Field::new("value", value, true)];
                DataType::Map(Arc::new(Field::new("entries", DataType::Struct(pair.into()), false)), false)
            }),
        ]
    })
}

fn values(texts: &[&str]) -> Vec<Option<Vec<u8>>> {
    texts.iter().map(|text| Some(text.as_bytes().to_vec())).collect()
}

fn one_column(data_type: &str, text: &str) -> Result<RecordBatch, String> {
    let schema = ValueSchema::parse(&format!("a {data_type}")).unwrap();
    let projection =
        Projection::with_values(Some(&["a"]), &schema, BadRows::Fail, BytesLayout::Binary).unwrap();
    let text = format!("{{\"a\": {text}}}");
    let mut scan =
        Scan::new(plan_of(projection, 10), sources_of(&values(&[&text]), Compression::None)).unwrap();
    match scan.next_batch() {
        Ok(batch) => Ok(batch.unwrap()),
        Err(ScanError::Decode(DecodeError::BadValue { reason, .. })) => Err(reason),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn every_type_refuses_what_it_cannot_hold() {
    let refused = [
        ("byte", "128"),
        ("byte", "-129"),
        ("short", "32768"),
        ("int", "2147483648"),
        ("int", "1e10"),
        ("long", "9223372036854775808"),
        ("long", "1e300"),
        ("long", "0.1"),
        ("long", "true"),
        ("uint8", "-1"),
        ("uint8", "256"),
        ("uint64", "18446744073709551616"),
        ("float", "1e39"),
        ("float", "\"1\""),
        ("double", "\"nan\""),
        ("double", "[]"),
        ("boolean", "\"true\""),
        ("boolean", "1"),
        ("date", "\"yesterday\""),
        ("date", "\"2013-02-30\""),
        ("date", "15000"),
        ("timestamp", "\"2013-07-01T25:00:00\""),
        ("timestamp", "1372636800000"),
        ("timestamp", "\"\""),
        ("timestamp[ns]", "\"3000-01-01T00:00:00\""),
        ("binary", "\"§§\""),
        ("binary", "1"),
        ("decimal(5,2)", "1000"),
        ("decimal(5,2)", "\"abc\""),
        ("decimal(5,2)", "1e99999999999"),
        ("decimal(38,0)", "{}"),
        ("array<int>", "1"),
        ("array<int>", "[\"x\"]"),
        ("struct<b: int>", "[]"),
        ("map<string, int>", "{\"k\": \"v\"}"),
    ];
    for (data_type, text) in refused {
        let reason = one_column(data_type, text).expect_err(&format!("{data_type} took {text}"));
        assert!(!reason.is_empty() && reason.len() < 300, "{data_type}: {reason}");
    }
    let accepted = [
        ("byte", "-128"),
        ("long", "-9223372036854775808"),
        ("long", "11.0"),
        ("uint64", "18446744073709551615"),
        ("float", "1e38"),
        ("double", "\"Infinity\""),
        ("date", "\"2013-02-28\""),
        ("timestamp", "\"2013-07-01 10:00:00.123456+02:00\""),
        ("timestamp[ms]", "\"2013-07-01\""),
        ("timestamp[s, tz=-05:00]", "\"2013-07-01T10:00:00Z\""),
        ("binary", "\"\""),
        ("decimal(5,2)", "999.99"),
        ("decimal(5,2)", "\"1e2\""),
        ("array<array<int>>", "[[1], null, []]"),
    ];
    for (data_type, text) in accepted {
        let batch =
            one_column(data_type, text).unwrap_or_else(|reason| panic!("{data_type} {text}: {reason}"));
        assert!(batch.column(0).is_valid(0), "{data_type} {text}");
    }
}

#[test]
fn reasons_name_the_field() {
    let reason = |data_type, text| one_column(data_type, text).unwrap_err();
    assert_eq!(
        reason("struct<b: struct<c: int>>", "{\"b\": {\"c\": 1.5}}"),
        "field `a.b.c`: expected int, got 1.5"
    );
    assert_eq!(reason("array<int>", "{\"b\": 1}"), "field `a`: expected an array, got {\"b\": 1}");
    let long = format!("\"{}\"", "é".repeat(10_000));
    assert!(reason("long", &long).ends_with("é…"));
}

#[test]
fn deep_values_end_in_an_error() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let bomb = format!("{{\"a\": {}1{}}}", open.repeat(1_000_000), close.repeat(1_000_000));
        let texts = values(&["{\"a\": 1}", &bomb, "{\"a\": 2}"]);
        let batches =
            read(&texts, Some(&["a", "value_error"]), BadRows::Column, 10, BytesLayout::Binary).unwrap();
        let found: Vec<Value> = (0..3).map(|row| cell(batches[0].column(0), row)).collect();
        assert_eq!(found, [json!(1), Value::Null, json!(2)]);
        assert!(batches[0].column(1).as_string::<i32>().value(1).contains("recursion limit"));
    }
}

#[test]
fn many_rows_and_rare_bad_ones() {
    let text =
        |row: usize| if row % 1500 == 1499 { "{\"a\": \"x\"}".into() } else { format!("{{\"a\": {row}}}") };
    let texts: Vec<_> = (0..5_000).map(|row| Some(text(row).into_bytes())).collect();
    let names = ["offset", "a", "value_error"];
    let batches = read(&texts, Some(&names), BadRows::Column, 3_000, BytesLayout::Binary).unwrap();
    assert_eq!(batches.iter().map(RecordBatch::num_rows).collect::<Vec<_>>(), [3_000, 2_000]);
    let mut row = 0;
    for batch in &batches {
        for at in 0..batch.num_rows() {
            assert_eq!(cell(batch.column(0), at), json!(100 + row));
            let bad = row % 1500 == 1499;
            assert_eq!(cell(batch.column(1), at), if bad { Value::Null } else { json!(row) });
            assert_eq!(batch.column(2).is_valid(at), bad);
            row += 1;
        }
    }
}

#[test]
fn values_of_several_partitions_are_told_apart() {
    let batch = |text: &str| {
        let records = vec![(0, None, Some(text.as_bytes().to_vec()), vec![])];
        Batch { codec: Compression::None, append_time: None, gap: 0, records }
    };
    let range = |number, texts: &[&str]| {
        let batches: Vec<Batch> = texts.iter().map(|text| batch(text)).collect();
        let raw = source::RawBatches::new(partition("t", number, 5, &batches).0);
        RawRange { topic: "t".into(), partition: number, raw, range: 0..100 }
    };
    let projection = Projection::with_values(None, &schema(), BadRows::Fail, BytesLayout::Binary).unwrap();
    let fetched = vec![range(3, &["{}", "{}"]), range(1, &["{}", "{}", "{\"a\": []}", "{}"])];
    let error = decode_fetched(&projection, BatchLimits::default(), fetched).unwrap_err();
    assert_eq!(error.to_string(), "t-1: the value at offset 7 is bad: field `a`: expected long, got []");
}

#[test]
fn columns_are_chosen_by_name() {
    let names = |names: &[&str], bad_rows| {
        Projection::with_values(Some(names), &schema(), bad_rows, BytesLayout::Binary)
            .map(|projection| projection.names().map(str::to_owned).collect::<Vec<_>>())
    };
    assert_eq!(names(&["g", "offset", "a"], BadRows::Fail).unwrap(), ["g", "offset", "a"]);
    let all = ["key", "a", "b", "c", "d", "e", "f", "g", "value_error"];
    assert_eq!(names(&["key", "value"], BadRows::Column).unwrap(), all);
    assert_eq!(names(&["a", "value"], BadRows::Fail).unwrap_err().to_string(), "column `a` is named twice");
    assert!(
        names(&["value_error"], BadRows::Fail)
            .unwrap_err()
            .to_string()
            .starts_with("unknown column `value_error`")
    );
}

#[test]
fn unused_fields_are_not_decoded() {
    let texts = values(&["{\"a\": 1, \"b\": \"wrong\"}"]);
    assert!(read(&texts, Some(&["b"]), BadRows::Fail, 10, BytesLayout::Binary).is_err());
    let batches = read(&texts, Some(&["a"]), BadRows::Fail, 10, BytesLayout::View).unwrap();
    assert_eq!(cell(batches[0].column(0), 0), json!(1));
    // Not even looked at where nothing typed is asked for.
    let batches =
        read(&values(&["nonsense"]), Some(&["offset"]), BadRows::Fail, 10, BytesLayout::View).unwrap();
    assert_eq!(batches[0].num_rows(), 1);
    // But all of them for their errors.
    let batches = read(&texts, Some(&["value_error"]), BadRows::Column, 10, BytesLayout::View).unwrap();
    assert_eq!(batches[0].column(0).as_string::<i32>().value(0), "field `b`: expected double, got \"wrong\"");
}

#[test]
fn schemas_are_inferred_in_order_of_appearance() {
    let infer = |texts: &[&str], sample| {
        infer_values(&ScanPlan::default(), sources_of(&values(texts), Compression::Zstd), sample)
    };
    let texts = [
        r#"{"z": 1, "a": null, "n": [], "when": "2013-07-01T00:00:00Z"}"#,
        "junk",
        r#"{"b": true, "z": 2.5, "n": [1, null], "o": {"x": 1}}"#,
        r#"{"o": {"y": ["p"], "x": 9223372036854775808}, "mixed": 1, "e": {}, "odd name": false}"#,
        r#"{"mixed": "x", "n": [[]], "late": 1}"#,
        r#"{"later": 1}"#,
    ];
    let inferred = infer(&texts, 5).unwrap();
    assert_eq!(
        inferred.schema.to_string(),
        "z double, a string, n array<string>, when string, b boolean, o struct<x: double, y: array<string>>, \
         mixed string, e string, `odd name` boolean, late long"
    );
    assert_eq!((inferred.records, inferred.bad), (5, 1));
    assert_eq!(
        infer(&texts, 1).unwrap().schema.to_string(),
        "z long, a string, n array<string>, when string"
    );
    assert!(matches!(infer(&["{}", "[]", "1"], 1000), Err(InferError::Nothing { records: 3 })));

    let wide: String = (0..5000).map(|index| format!("\"f{index}\": 0, ")).collect();
    assert!(matches!(infer(&[&format!("{{{wide}\"last\": 0}}")], 10), Err(InferError::TooMany)));
    let deep = format!("{{\"a\": {}{}}}", "[".repeat(100), "]".repeat(100));
    let text = infer(&[&deep], 10).unwrap().schema.to_string();
    assert_eq!(text, format!("a {}string{}", "array<".repeat(32), ">".repeat(32)));
}

#[test]
fn cheap_types_are_given_where_they_are_requested() {
    let texts = values(&["{\"a\": 1, \"c\": \"a string that no view holds in itself\"}", "{}"]);
    let names = ["key", "topic", "a", "c"];
    let plain = Projection::with_values(Some(&names), &schema(), BadRows::Fail, BytesLayout::Binary).unwrap();
    let wish = |fields: &[(&str, DataType)]| {
        let fields = fields.iter().map(|(name, data_type)| Field::new(*name, data_type.clone(), true));
        arrow_schema::Schema::new(fields.collect::<Vec<_>>())
    };
    let large = wish(&[
        ("key", DataType::LargeBinary),
        ("topic", DataType::LargeUtf8),
        ("a", DataType::Int32),
        ("c", DataType::LargeUtf8),
    ]);
    let projection = plain.with_requested(&large);
    let types = |projection: &Projection| {
        projection.schema().fields().iter().map(|field| field.data_type().clone()).collect::<Vec<_>>()
    };
    // Other numbers would not be cheap: a wish, passed over.
    let given = [DataType::LargeBinary, DataType::LargeUtf8, DataType::Int64, DataType::LargeUtf8];
    assert_eq!(types(&projection), given);
    let mut scan = Scan::new(plan_of(projection, 10), sources_of(&texts, Compression::None)).unwrap();
    let batch = scan.next_batch().unwrap().unwrap();
    assert_eq!(batch.column(3).as_string::<i64>().value(0), "a string that no view holds in itself");

    let projection = plain.with_requested(&wish(&[("c", DataType::Utf8View), ("key", DataType::BinaryView)]));
    assert_eq!(projection.layout(), BytesLayout::View);
    let given = [DataType::BinaryView, DataType::Utf8, DataType::Int64, DataType::Utf8View];
    assert_eq!(types(&projection), given);
    let mut scan = Scan::new(plan_of(projection, 10), sources_of(&texts, Compression::None)).unwrap();
    let batch = scan.next_batch().unwrap().unwrap();
    assert_eq!(batch.column(3).as_string_view().value(0), "a string that no view holds in itself");
    assert!(batch.column(3).is_null(1));
}

#[test]
fn microseconds_are_given_where_they_are_requested() {
    use arrow_array::types::TimestampMicrosecondType;
    let wanted = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let plain = Projection::from_names(["timestamp", "key"], BytesLayout::Binary).unwrap();
    let wish = arrow_schema::Schema::new(vec![Field::new("timestamp", wanted.clone(), true)]);
    let projection = plain.with_requested(&wish);
    assert_eq!(projection.schema().field(0).data_type(), &wanted);
    let times = [-1, 0, 1_372_636_800_123, i64::MAX, i64::MIN / 2];
    let records = times.map(|time| (time, None, None, vec![])).to_vec();
    let bytes =
        partition("t", 0, 0, &[Batch { codec: Compression::None, append_time: None, gap: 0, records }]).0;
    let mut scan = Scan::new(plan_of(projection, 10), vec![source("t", 0, &bytes)]).unwrap();
    let batch = scan.next_batch().unwrap().unwrap();
    let found = batch.column(0).as_primitive::<TimestampMicrosecondType>().values().to_vec();
    assert_eq!(found, times.map(|time| time.saturating_mul(1000)));
}
