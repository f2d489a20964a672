//! Where fuzzing starts: a few inputs for each target, made by the project's own encoders.

use std::fs;
use std::path::Path;

use bytes::Bytes;
use headwater_controller::{
    BrokerRegistration, ConfigChange, ConfigOperation, ConfigOperationKind, ConfigResource, Controller,
    ControllerOptions, Endpoint, NewTopic,
};
use headwater_env::sim::{self, SimEnv};
use headwater_env::{Disk, DiskFile, Env, OpenMode};
use headwater_log::{Log, OpenHints, Origin};
use headwater_protocol::records::{
    GroupMetadataKey, GroupMetadataValue, OffsetCommitKey, OffsetCommitValue, group_metadata,
};
use headwater_protocol::{ApiKey, Writer, encode_key, encode_versioned, frame};
use headwater_record::control::EndTransactionMarker;
use headwater_record::{BatchBuilder, Compression, RecordHeader, compression, patch};

use crate::Pack;
use crate::log_files::{self, DIRECTORY_NAMES, NAMES, SUFFIXES};
use crate::table::MESSAGES;

const NOW_MS: i64 = 1_700_000_000_000;
const CODECS: [Compression; 5] =
    [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];
/// Largest file that goes into a seed: real ones are mostly room filled with zeros.
const FILE_BYTES_MAX: usize = 4096;

/// Writes the seeds of every target into its folder in `corpus`.
///
/// # Panics
/// When a folder or file cannot be written.
pub fn write(corpus: &Path) {
    let put = |target: &str, seeds: Vec<Vec<u8>>| {
        let folder = corpus.join(target);
        fs::create_dir_all(&folder).expect("a folder for the seeds");
        for (number, seed) in seeds.into_iter().enumerate() {
            fs::write(folder.join(format!("seed-{number:04}")), seed).expect("a file for the seed");
        }
    };
    put("record_batch", batches().iter().map(|bytes| Pack::new().u8(1).raw(bytes).finish()).collect());
    put("compression", folded());
    put("protocol_request", requests());
    put("protocol_response", responses());
    put("protocol_record", records());
    put("log_recovery", log_folders());
    put("data_directory", vec![data_directory()]);
    let (metadata_records, metadata_log) = metadata();
    put("metadata_records", metadata_records);
    put("metadata_log", metadata_log);
    put("group_records", vec![group_records()]);
    put("group_protocol", group_bytes());
    put("settings", vec![properties()]);
    let arrow = |bytes: &Vec<u8>| Pack::new().u8(1).u8(1).u16(0).raw(bytes).finish();
    put("arrow_decode", batches().iter().map(arrow).collect());
}

/// A batch of each codec, a transactional one with its marker.
fn batches() -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = CODECS.into_iter().map(|codec| batch(codec, None, 0)).collect();
    all.push([transaction(0), marker(3, true)].concat());
    all.push([batch(Compression::Zstd, None, 0), batch(Compression::None, Some(4), 3)].concat());
    all
}

fn batch(codec: Compression, producer: Option<i32>, base_offset: i64) -> Vec<u8> {
    let mut builder = BatchBuilder::new(codec);
    if let Some(sequence) = producer {
        builder.set_producer(1, 0, sequence);
    }
    builder.set_base_offset(base_offset);
    let headers = [RecordHeader { key: "h", value: Some(b"v") }, RecordHeader { key: "h", value: None }];
    builder.append(NOW_MS, Some(b"key"), Some(b"a value, a value"), &headers).expect("it fits");
    builder.append(NOW_MS + 1, None, Some(b"a value, a value"), &[]).expect("it fits");
    builder.append(NOW_MS + 2, Some(b"key"), None, &[]).expect("it fits");
    builder.finish().expect("a batch").to_vec()
}

fn transaction(base_offset: i64) -> Vec<u8> {
    let mut builder = BatchBuilder::new(Compression::None);
    builder.set_producer(1, 0, 0);
    builder.set_transactional(true);
    builder.set_base_offset(base_offset);
    for _ in 0..3 {
        builder.append(NOW_MS, Some(b"key"), Some(b"value"), &[]).expect("it fits");
    }
    builder.finish().expect("a batch").to_vec()
}

fn marker(base_offset: i64, commit: bool) -> Vec<u8> {
    let marker = EndTransactionMarker { commit, coordinator_epoch: 0 };
    let mut bytes = marker.to_batch(NOW_MS, 1, 0).expect("a marker").to_vec();
    patch::set_base_offset(&mut bytes, base_offset);
    bytes
}

fn folded() -> Vec<Vec<u8>> {
    let text = "nine hundred and ninety-nine ".repeat(9);
    let of = |(number, codec): (usize, &Compression)| {
        let folded = compression::compress(*codec, None, text.as_bytes()).expect("it can be compressed");
        Pack::new().u8(number as u8).raw(&folded).finish()
    };
    CODECS[1..].iter().enumerate().map(of).collect()
}

/// Every message of `suffix` that has an API, at its defaults, in every version.
fn of_apis(suffix: &str, make: impl Fn(ApiKey, i16, Bytes) -> Option<Vec<u8>>) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for entry in MESSAGES {
        let Some(name) = entry.name.strip_suffix(suffix) else { continue };
        let Some(api_key) = (0..200).filter_map(ApiKey::from_i16).find(|key| key.name() == name) else {
            continue;
        };
        for version in entry.versions.0..=entry.versions.1 {
            let body = (entry.default)(version);
            all.extend(body.and_then(|body| make(api_key, version, body)));
        }
    }
    all
}

fn requests() -> Vec<Vec<u8>> {
    of_apis("Request", |api_key, api_version, body| {
        let mut writer = Writer::new();
        let client_id = Some("fuzz".into());
        let header = headwater_protocol::RequestHeader { api_key, api_version, correlation_id: 7, client_id };
        header.encode(&mut writer).ok()?;
        let header = writer.into_bytes();
        let prefix = frame::length_prefix(header.len() + body.len()).ok()?;
        Some([&prefix[..], &header, &body].concat())
    })
}

fn responses() -> Vec<Vec<u8>> {
    of_apis("Response", |api_key, version, body| {
        let mut writer = Writer::new();
        headwater_protocol::ResponseHeader { correlation_id: 7 }
            .encode(&mut writer, api_key, version)
            .ok()?;
        Some([&[api_key as i16 as u8, version as u8][..], &writer.into_bytes(), &body].concat())
    })
}

fn records() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for (number, entry) in MESSAGES.iter().enumerate() {
        for version in entry.versions.0..=entry.versions.1 {
            let body = (entry.default)(version);
            all.extend(body.map(|body| [&[number as u8, version as u8][..], &body].concat()));
        }
    }
    all
}

fn files(env: &SimEnv, folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in env.disk().read_dir(folder).expect("the folder is there") {
        let file = env.disk().open(&folder.join(&entry.name), OpenMode::Read).expect("the file is there");
        let length = file.len().expect("a length").min(FILE_BYTES_MAX as u64);
        let mut bytes = vec![0; length as usize];
        file.read_exact_at(&mut bytes, 0).expect("its bytes");
        let written = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        // Room filled with zeros ends some files; a few of them tell as much.
        bytes.truncate((written + 16).min(bytes.len()));
        all.push((entry.name, bytes));
    }
    all
}

/// A log of several segments with a transaction, closed or left open.
fn log_folders() -> Vec<Vec<u8>> {
    [false, true].into_iter().map(log_folder).collect()
}

fn log_folder(closed: bool) -> Vec<u8> {
    sim::run(1, |env| async move {
        let folder = log_files::folder();
        let config = headwater_log::LogConfig { segment_bytes: 600, ..log_files::config() };
        let opened = Log::open(env.clone(), &folder, log_files::identity(), config, OpenHints::default());
        let (log, _) = opened.expect("a new log opens");
        for round in 0..4 {
            log.append_as_leader(transaction(0), round, Origin::Coordinator, NOW_MS).expect("appended");
            log.append_as_leader(marker(0, round % 2 == 0), round, Origin::Coordinator, NOW_MS)
                .expect("appended");
            log.append_as_leader(log_files::batch(), round, Origin::Client, NOW_MS).expect("appended");
        }
        log.set_high_watermark(log.log_end());
        if closed {
            log.close().expect("closed");
        } else {
            log.flush().expect("flushed");
        }
        let mut pack = Pack::new().u8(u8::from(closed) | 2).i64(0).i64(0).i64(log.log_end());
        for (name, bytes) in files(&env, &folder) {
            let (stem, suffix) = name.split_once('.').unwrap_or((&name, ""));
            let kind = match (
                SUFFIXES.iter().position(|one| *one == suffix),
                NAMES.iter().position(|one| *one == name),
            ) {
                (Some(kind), _) => kind,
                // The first number that is no suffix and stands for this name.
                (None, Some(at)) => {
                    (SUFFIXES.len()..).find(|kind| kind % NAMES.len() == at).unwrap_or_default()
                }
                (None, None) => continue,
            };
            pack = pack.u8(kind as u8).i64(stem.parse().unwrap_or_default()).chunk(&bytes);
        }
        pack.finish()
    })
}

fn data_directory() -> Vec<u8> {
    let texts: [&[u8]; 7] = [
        b"version=1\ncluster.id=AAAAAAAAQACAAAAAAAAAAQ\nnode.id=1\ndirectory.id=AAAAAAAAQACAAAAAAAAAAg\n",
        b"0\n1\nt 0 3\n",
        b"0\n1\nt 0 1\n",
        b"0\n1\nt 0 3\n",
        b"{\"version\":0,\"brokerEpoch\":1}",
        b"version: 0\ntopic_id: BwcHBwcHBwcHBwcHBwcHBw\n",
        &batch(Compression::None, None, 0),
    ];
    let mut pack = Pack::new();
    for (number, text) in texts.into_iter().enumerate().take(DIRECTORY_NAMES.len()) {
        pack = pack.u8(number as u8).chunk(text);
    }
    pack.finish()
}

/// A metadata directory after some operations, without and with a snapshot; the snapshot alone.
fn metadata() -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let (mut records, mut logs) = (vec![vec![0, 1, 0, 0, 0, 0]], Vec::new());
    for snapshot_entries in [10_000, 3] {
        let found = sim::run(1, |env| async move {
            let directory = crate::metadata::seed_directory();
            let options = ControllerOptions { snapshot_entries, ..ControllerOptions::new(1) };
            let opened = Controller::open(env.clone(), directory.clone(), options).await;
            let controller = opened.expect("a new directory opens");
            operate(&controller).await;
            // A snapshot is made behind the operations' back.
            tokio_pause().await;
            controller.shutdown().await;
            files(&env, &directory)
        });
        let mut pack = Pack::new().u8(1);
        for (name, bytes) in found {
            pack = pack.chunk(name.as_bytes()).chunk(&bytes);
            if name.ends_with(".snapshot") {
                records.push([&[1], &bytes[..]].concat());
            }
            if name.ends_with(".log") {
                records.extend(batches_in_frames(&bytes));
            }
        }
        logs.push(pack.finish());
    }
    (records, logs)
}

async fn tokio_pause() {
    for _ in 0..1000 {
        std::future::ready(()).await;
        yield_once().await;
    }
}

/// Lets every other task go on once.
async fn yield_once() {
    let mut yielded = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut yielded, true) {
            return std::task::Poll::Ready(());
        }
        context.waker().wake_by_ref();
        std::task::Poll::Pending
    })
    .await;
}

/// The batches of records in a segment of the metadata log, each as a seed of its own.
fn batches_in_frames(segment: &[u8]) -> Vec<Vec<u8>> {
    /// Of the segment's head, and of a frame before its body: length, checksum, kind to synced.
    const HEAD: usize = 32;
    const FRAME_HEAD: usize = 8 + 20;
    /// Log id and kind of an entry that carries records.
    const ENTRY_HEAD: usize = 17;
    let (mut at, mut all) = (HEAD, Vec::new());
    while let Some(length) = segment.get(at..at + 4) {
        let length = u32::from_be_bytes(length.try_into().expect("four bytes")) as usize;
        let Some(frame) = segment.get(at..at + 8 + length).filter(|_| length > 0) else { break };
        if frame[8] == 1 && frame.get(FRAME_HEAD + ENTRY_HEAD - 1) == Some(&1) {
            all.push([&[0], &frame[FRAME_HEAD + ENTRY_HEAD..]].concat());
        }
        at += 8 + length;
    }
    all
}

async fn operate(controller: &Controller<SimEnv>) {
    let registration = BrokerRegistration {
        node_id: 1,
        incarnation: headwater_record::Uuid::from_bytes([1; 16]),
        listeners: vec![Endpoint { name: "PLAINTEXT".into(), host: "localhost".into(), port: 9092 }],
        rack: Some("r".into()),
        directories: vec![headwater_record::Uuid::from_bytes([100; 16])],
        fenced: false,
    };
    let epoch = controller.register_broker(registration).await.expect("registered");
    for name in ["one", "two"] {
        let created = controller.create_topics(vec![NewTopic::new(name, 2, 1)], false).await;
        created.into_iter().for_each(|topic| drop(topic.expect("created")));
    }
    let operation =
        ConfigOperation { key: "k".into(), kind: ConfigOperationKind::Set, value: Some("v".into()) };
    let change =
        ConfigChange { resource: ConfigResource::topic("one".to_owned()), operations: vec![operation] };
    let altered = controller.alter_configs(vec![change], false).await;
    altered.into_iter().for_each(|one| one.expect("altered"));
    controller.allocate_producer_ids(1, epoch).await.expect("allocated");
}

fn group_records() -> Vec<u8> {
    let member = group_metadata::MemberMetadata {
        member_id: "m-1".into(),
        client_id: "c".into(),
        client_host: "/127.0.0.1".into(),
        rebalance_timeout: 60_000,
        session_timeout: 45_000,
        subscription: Bytes::from_static(b"\0\0\0\0\0\x01\0\x01t\xff\xff\xff\xff"),
        assignment: Bytes::from_static(b"\0\0\0\0\0\x01\0\x01t\0\0\0\x01\0\0\0\0\xff\xff\xff\xff"),
        ..Default::default()
    };
    let value = GroupMetadataValue {
        protocol_type: "consumer".into(),
        generation: 3,
        protocol: Some("range".into()),
        leader: Some("m-1".into()),
        current_state_timestamp: NOW_MS,
        members: vec![member],
        ..Default::default()
    };
    let key = encode_key(&GroupMetadataKey { group: "g".into() }).expect("a key");
    let offset_key = encode_key(&OffsetCommitKey { group: "g".into(), topic: "t".into(), partition: 0 });
    let offset_key = offset_key.expect("a key");
    let offset = OffsetCommitValue {
        offset: 42,
        metadata: "m".into(),
        commit_timestamp: NOW_MS,
        ..Default::default()
    };
    let mut pack = Pack::new();
    for version in [0, 3] {
        pack = pack.u8(4).chunk(&key).chunk(&encode_versioned(&value, version).expect("a value"));
    }
    let offset = |version| encode_versioned(&offset, version).expect("a value");
    pack = pack.u8(0).chunk(&offset_key).chunk(&offset(3));
    // Within a transaction, its end, a tombstone.
    pack = pack.u8(0x12).chunk(&offset_key).chunk(&offset(1)).u8(0x19);
    pack.u8(1).chunk(&offset_key).chunk(&[]).finish()
}

fn group_bytes() -> Vec<Vec<u8>> {
    let texts: [&[u8]; 3] = [
        b"\0\0\0\0\0\x01\0\x01t\xff\xff\xff\xff",
        b"\0\x03\0\0\0\x01\0\x01t\0\0\0\x04\0\0\0\x02\0\0\0\x01\0\x01t\0\0\0\x01\0\0\0\x05\0\0\0\x02\0\x01r",
        b"\0\0\0\0\0\x01\0\x01t\0\0\0\x02\0\0\0\x01\0\0\0\x05\xff\xff\xff\xff",
    ];
    texts.into_iter().map(<[u8]>::to_vec).collect()
}

/// Every key there is with its default.
fn properties() -> Vec<u8> {
    let keys = headwater_broker::config::broker_keys().iter().chain(headwater_broker::config::topic_keys());
    let lines = keys.map(|key| format!("{}={}\n", key.name, key.default.unwrap_or("1")));
    let mut text: String = lines.collect();
    text += "listeners=PLAINTEXT://[::1]:9092,CONTROLLER://localhost:9093\ncontroller.listener.names=CONTROLLER\n";
    text.into_bytes()
}
