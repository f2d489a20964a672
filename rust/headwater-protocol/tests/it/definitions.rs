//! Our schema against the message definitions of Apache Kafka, field by field.
//!
//! The definitions are JSON files in the Maven artifact `org.apache.kafka:kafka-clients:4.3.1`, whose path is
//! in the environment variable `HEADWATER_KAFKA_CLIENTS_JAR`. Those of internal topics and producer snapshots
//! are in artifacts beside it, in the same folder. Names, types, versions, nullability, defaults and tags are
//! compared; documentation, listeners, entity types and Java's map keys are not carried over.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use xtask::schema::{Declaration, Default, Field, Kind, Struct, Type, Versions};

use crate::specimen::declarations;

const JAR: &str = "HEADWATER_KAFKA_CLIENTS_JAR";

const REMOVED: &str = "gone since Kafka 4.0, no versions left";
const CONTROLLER: &str = "between brokers and controllers";
const QUORUM: &str = "between the controllers' quorum";
const SHARE: &str = "between a group coordinator and a share coordinator";

/// APIs that are left out on purpose, with the reason.
const APIS_LEFT_OUT: [(&str, &str); 21] = [
    ("LeaderAndIsr", REMOVED),
    ("StopReplica", REMOVED),
    ("UpdateMetadata", REMOVED),
    ("ControlledShutdown", REMOVED),
    ("AlterPartition", CONTROLLER),
    ("Envelope", CONTROLLER),
    ("BrokerRegistration", CONTROLLER),
    ("BrokerHeartbeat", CONTROLLER),
    ("AllocateProducerIds", CONTROLLER),
    ("ControllerRegistration", CONTROLLER),
    ("AssignReplicasToDirs", CONTROLLER),
    ("Vote", QUORUM),
    ("BeginQuorumEpoch", QUORUM),
    ("EndQuorumEpoch", QUORUM),
    ("FetchSnapshot", QUORUM),
    ("UpdateRaftVoter", QUORUM),
    ("InitializeShareGroupState", SHARE),
    ("ReadShareGroupState", SHARE),
    ("WriteShareGroupState", SHARE),
    ("DeleteShareGroupState", SHARE),
    ("ReadShareGroupStateSummary", SHARE),
];

/// Other structures that are left out on purpose.
const DATA_LEFT_OUT: [(&str, &str); 5] = [
    ("DefaultPrincipalData", CONTROLLER),
    ("KRaftVersionRecord", QUORUM),
    ("VotersRecord", QUORUM),
    ("SnapshotHeaderRecord", QUORUM),
    ("SnapshotFooterRecord", QUORUM),
];

/// Tagged fields of our own: whoever does not know them passes over them.
const OURS: [(&str, &str); 1] = [("ApiVersionsResponse", "local_name")];

/// From the artifact that keeps producer snapshots, only those: the rest belongs to tiered storage.
const STORAGE_ONLY: [&str; 1] = ["ProducerSnapshot"];

fn left_out(name: &str) -> Option<&'static str> {
    let api = name.strip_suffix("Request").or_else(|| name.strip_suffix("Response"));
    let api = APIS_LEFT_OUT.iter().find(|(left, _)| api == Some(left));
    api.or_else(|| DATA_LEFT_OUT.iter().find(|(left, _)| *left == name)).map(|(_, reason)| *reason)
}

#[test]
fn the_readme_names_what_is_left_out() {
    let readme =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("schema/README.md")).unwrap();
    for (name, _) in APIS_LEFT_OUT.iter().chain(&DATA_LEFT_OUT) {
        assert!(readme.contains(&format!("`{name}`")), "schema/README.md does not name {name}");
    }
}

#[test]
fn the_schema_is_kafkas() {
    let Some(clients) = std::env::var_os(JAR).map(PathBuf::from) else {
        warn(&format!(
            "SKIPPED: {JAR} does not name kafka-clients-4.3.1.jar, the schema was compared with nothing"
        ));
        return;
    };
    let mut theirs = definitions(&clients);
    let clients_count = theirs.len();
    assert!(clients_count > 190, "{clients_count} definitions in {}", clients.display());
    for artifact in ["kafka-group-coordinator", "kafka-transaction-coordinator", "kafka-storage"] {
        let name =
            clients.file_name().unwrap_or_default().to_string_lossy().replace("kafka-clients", artifact);
        let jar = clients.with_file_name(name);
        if !jar.exists() {
            warn(&format!("SKIPPED in part: {} is not there", jar.display()));
            continue;
        }
        let keep = |name: &str| artifact != "kafka-storage" || STORAGE_ONLY.contains(&name);
        theirs.extend(definitions(&jar).into_iter().filter(|(name, _)| keep(name)));
    }
    let ours: BTreeMap<&str, &Declaration> =
        declarations().map(|declaration| (declaration.name.as_str(), declaration)).collect();
    let mut differences = Vec::new();
    for (name, definition) in &theirs {
        match (ours.get(name.as_str()), left_out(name)) {
            (Some(own), None) => compare(own, &converted(definition), &mut differences),
            (None, Some(reason)) => println!("left out: {name}, {reason}"),
            (None, None) => differences.push(format!("{name} is missing")),
            (Some(_), Some(_)) => differences.push(format!("{name} is there, but listed as left out")),
        }
    }
    let whole = theirs.len() > clients_count;
    let alien = |name: &&&str| whole && !theirs.contains_key(**name);
    differences.extend(ours.keys().filter(alien).map(|name| format!("{name} is not Kafka's")));
    println!("{} definitions compared", theirs.len());
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// Says it past the test harness, which keeps the output of tests that pass to itself.
fn warn(message: &str) {
    writeln!(std::io::stderr(), "{message}").expect("stderr");
}

/// The definitions in a jar, by name.
fn definitions(jar: &Path) -> BTreeMap<String, Value> {
    let name = jar.file_stem().unwrap_or_default();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("definitions").join(name);
    std::fs::create_dir_all(&folder).unwrap();
    let jar = std::fs::canonicalize(jar).unwrap_or_else(|e| panic!("{}: {e}", jar.display()));
    // A machine with a JDK need not have unzip, and jar unpacks everything.
    let unzip = Command::new("unzip").arg("-oq").arg(&jar).arg("*.json").arg("-d").arg(&folder).status();
    if !unzip.is_ok_and(|status| status.success()) {
        let status = Command::new("jar").arg("xf").arg(&jar).current_dir(&folder).status();
        assert!(status.is_ok_and(|status| status.success()), "neither unzip nor jar opens {}", jar.display());
    }
    let mut paths = Vec::new();
    json_files(&folder, &mut paths);
    paths
        .into_iter()
        .map(|path| {
            let text = std::fs::read_to_string(&path).unwrap();
            let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
            let value: Value = serde_json::from_str(&lines.collect::<Vec<_>>().join("\n")).unwrap();
            (value["name"].as_str().unwrap().to_owned(), value)
        })
        .collect()
}

fn json_files(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            json_files(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "json") {
            paths.push(path);
        }
    }
}

/// Kafka's definition in our model.
fn converted(definition: &Value) -> Declaration {
    let number = || definition["apiKey"].as_i64().unwrap() as i16;
    let kind = match definition["type"].as_str().unwrap() {
        "request" => Kind::Request(number()),
        "response" => Kind::Response(number()),
        "header" => Kind::Header,
        "coordinator-key" => Kind::Key(number()),
        "coordinator-value" => Kind::Value(number()),
        "data" => Kind::Data,
        other => panic!("unknown type {other}"),
    };
    let versions = range(definition["validVersions"].as_str(), i16::MAX).unwrap();
    let flexible = range(definition["flexibleVersions"].as_str(), i16::MAX).map(|range| range.first);
    let common = definition["commonStructs"].as_array().into_iter().flatten();
    let structs = common.map(|declared| {
        let own = range(declared["versions"].as_str(), versions.last).unwrap().intersect(versions).unwrap();
        let name = declared["name"].as_str().unwrap().to_owned();
        Struct { name, versions: own, fields: fields(&declared["fields"], own, versions) }
    });
    Declaration {
        name: definition["name"].as_str().unwrap().to_owned(),
        kind,
        versions,
        flexible,
        meaning: None,
        structs: structs.collect(),
        fields: fields(&definition["fields"], versions, versions),
    }
}

fn range(text: Option<&str>, last: i16) -> Option<Versions> {
    let text = text.filter(|text| *text != "none")?;
    let number = |text: &str| text.parse::<i16>().unwrap();
    Some(if let Some(first) = text.strip_suffix('+') {
        Versions { first: number(first), last }
    } else if let Some((first, last)) = text.split_once('-') {
        Versions { first: number(first), last: number(last) }
    } else {
        Versions { first: number(text), last: number(text) }
    })
}

/// Fields in versions that the message has lost are passed over.
fn fields(list: &Value, scope: Versions, all: Versions) -> Vec<Field> {
    let fields = list.as_array().into_iter().flatten();
    fields.filter_map(|definition| field(definition, scope, all)).collect()
}

fn field(definition: &Value, scope: Versions, all: Versions) -> Option<Field> {
    let text = |key: &str| definition[key].as_str();
    let versions = range(text("versions").or(text("taggedVersions")), all.last)?.intersect(scope)?;
    let spelled = text("type").unwrap();
    let element = spelled.trim_start_matches("[]");
    let tagged = range(text("taggedVersions"), all.last).and_then(|range| range.intersect(scope));
    assert!(
        tagged.is_none_or(|tagged| tagged == versions),
        "{definition}: tagged in some of its versions only"
    );
    Some(Field {
        name: snake_case(text("name").unwrap()),
        kind: kind(element),
        array: spelled.starts_with("[]"),
        versions,
        nullable: range(text("nullableVersions"), all.last).and_then(|range| range.intersect(versions)),
        default: default(&definition["default"]),
        tag: tagged.map(|_| definition["tag"].as_u64().unwrap() as u32),
        ignorable: definition["ignorable"].as_bool().unwrap_or(false),
        inflexible: text("flexibleVersions") == Some("none"),
        meaning: None,
        fields: fields(&definition["fields"], versions, all),
    })
}

fn kind(word: &str) -> Type {
    match word {
        "bool" => Type::Bool,
        "int8" => Type::Int8,
        "int16" => Type::Int16,
        "int32" => Type::Int32,
        "int64" => Type::Int64,
        "uint16" => Type::Uint16,
        "uint32" => Type::Uint32,
        "float64" => Type::Float64,
        "uuid" => Type::Uuid,
        "string" => Type::String,
        "bytes" => Type::Bytes,
        "records" => Type::Records,
        name => Type::Struct(name.to_owned()),
    }
}

/// A default of JSON's null is no default; the text "null" is null.
fn default(value: &Value) -> Default {
    let text = value.as_str().map_or(value.to_string(), str::to_owned);
    match text.as_str() {
        "" | "0" | "false" => Default::Zero,
        "null" if value.is_null() => Default::Zero,
        "null" => Default::Null,
        "true" => Default::Bool(true),
        number => Default::Number(match number.strip_prefix("0x") {
            Some(hex) => i64::from_str_radix(hex, 16).unwrap(),
            None => number.parse().unwrap(),
        }),
    }
}

fn snake_case(name: &str) -> String {
    let mut text = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !text.is_empty() {
            text.push('_');
        }
        text.push(letter.to_ascii_lowercase());
    }
    text
}

fn compare(ours: &Declaration, theirs: &Declaration, differences: &mut Vec<String>) {
    let head =
        |one: &Declaration| format!("{:?} versions {} flexible {:?}", one.kind, one.versions, one.flexible);
    if head(ours) != head(theirs) {
        differences.push(format!("{}: {} is Kafka's {}", ours.name, head(ours), head(theirs)));
    }
    let common = |one: &Declaration| -> Vec<(String, String)> {
        one.structs.iter().map(|own| (own.name.clone(), own.versions.to_string())).collect()
    };
    if common(ours) != common(theirs) {
        differences.push(format!("{}: {:?} are Kafka's {:?}", ours.name, common(ours), common(theirs)));
    }
    for (own, their) in ours.structs.iter().zip(&theirs.structs) {
        compare_fields(&format!("{}/{}", ours.name, own.name), &own.fields, &their.fields, differences);
    }
    compare_fields(&ours.name, &ours.fields, &theirs.fields, differences);
}

fn compare_fields(path: &str, ours: &[Field], theirs: &[Field], differences: &mut Vec<String>) {
    let is_ours = |field: &Field| field.tag.is_some() && OURS.contains(&(path, &field.name));
    let ours: Vec<&Field> = ours.iter().filter(|field| !is_ours(field)).collect();
    let own_names: Vec<&str> = ours.iter().map(|field| field.name.as_str()).collect();
    let their_names: Vec<&str> = theirs.iter().map(|field| field.name.as_str()).collect();
    if own_names != their_names {
        differences.push(format!("{path}: {own_names:?} are Kafka's {their_names:?}"));
        return;
    }
    for (own, their) in ours.into_iter().zip(theirs) {
        let path = format!("{path}.{}", own.name);
        let bare = |field: &Field| Field { meaning: None, fields: Vec::new(), ..field.clone() };
        if bare(own) != bare(their) {
            differences.push(format!("{path}:\n  {:?}\nis Kafka's\n  {:?}", bare(own), bare(their)));
        }
        compare_fields(&path, &own.fields, &their.fields, differences);
    }
}

#[test]
fn a_difference_is_found() {
    let ours = declarations().find(|declaration| declaration.name == "FetchRequest").unwrap();
    let mut theirs = ours.clone();
    theirs.fields[1].default = Default::Number(-2);
    theirs.fields[9].fields[2].fields[0].versions.first += 1;
    let mut differences = Vec::new();
    compare(ours, &theirs, &mut differences);
    assert_eq!(differences.len(), 2, "{differences:?}");
    assert!(differences[1].starts_with("FetchRequest.topics.partitions.partition:"), "{}", differences[1]);
}
