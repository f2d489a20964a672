//! What the simulated disk keeps and loses in a power cut, against a model of what it may.

use std::collections::BTreeMap;
use std::path::Path;

use headwater_env::crashsafe;
use headwater_env::sim::{Operation, SimDisk};
use headwater_env::{Disk, DiskFile, OpenMode};
use proptest::collection::vec;
use proptest::prelude::*;

const PATHS: [&str; 3] = ["/a/x", "/a/y", "/b/x"];

#[derive(Debug, Clone)]
enum Step {
    Create(usize),
    Write { path: usize, position: usize, length: usize, byte: u8 },
    SetLength { path: usize, length: usize },
    Sync(usize),
    SyncDir(usize),
    Rename,
    Remove(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let path = 0..PATHS.len();
    prop_oneof![
        2 => path.clone().prop_map(Step::Create),
        6 => (path.clone(), 0..1500usize, 1..1500usize, 1..=255u8)
            .prop_map(|(path, position, length, byte)| Step::Write { path, position, length, byte }),
        1 => (path.clone(), 0..2000usize).prop_map(|(path, length)| Step::SetLength { path, length }),
        3 => path.clone().prop_map(Step::Sync),
        3 => path.clone().prop_map(Step::SyncDir),
        1 => Just(Step::Rename),
        1 => path.prop_map(Step::Remove),
    ]
}

/// A file of the model: every content it has had since its last sync, the synced one first.
#[derive(Debug, Clone, Default)]
struct ModelFile {
    contents: Vec<Vec<u8>>,
}

impl ModelFile {
    fn change(&mut self, change: impl FnOnce(&mut Vec<u8>)) {
        let mut content = self.contents.last().unwrap().clone();
        change(&mut content);
        self.contents.push(content);
    }

    fn sync(&mut self) {
        self.contents.drain(..self.contents.len() - 1);
    }

    fn may_be(&self, found: &[u8]) -> bool {
        let shortest = self.contents.iter().map(Vec::len).min().unwrap();
        let longest = self.contents.iter().map(Vec::len).max().unwrap();
        let byte_may_be = |(position, byte): (usize, &u8)| {
            (*byte == 0 && position >= shortest)
                || self.contents.iter().any(|content| content.get(position) == Some(byte))
        };
        (shortest..=longest).contains(&found.len()) && found.iter().enumerate().all(byte_may_be)
    }
}

/// Names and files as they may be found after a crash.
#[derive(Debug, Default)]
struct Model {
    files: Vec<ModelFile>,
    /// Per path what it stood for since the last sync of its directory, that moment's first, the present one last.
    names: BTreeMap<usize, Vec<Option<usize>>>,
}

impl Model {
    fn new() -> Self {
        Self { files: Vec::new(), names: (0..PATHS.len()).map(|path| (path, vec![None])).collect() }
    }

    fn present(&self, path: usize) -> Option<usize> {
        *self.names[&path].last().unwrap()
    }

    fn set(&mut self, path: usize, file: Option<usize>) {
        self.names.get_mut(&path).unwrap().push(file);
    }

    fn file(&mut self, path: usize) -> Option<&mut ModelFile> {
        self.present(path).map(|file| &mut self.files[file])
    }

    fn sync_dir(&mut self, dir: &Path) {
        for (&path, states) in &mut self.names {
            if Path::new(PATHS[path]).parent() == Some(dir) {
                states.drain(..states.len() - 1);
            }
        }
    }
}

fn apply(disk: &SimDisk, model: &mut Model, step: &Step) {
    let open = |path: usize| disk.open(Path::new(PATHS[path]), OpenMode::ReadWrite);
    match *step {
        Step::Create(path) => {
            disk.open(Path::new(PATHS[path]), OpenMode::Create).unwrap();
            if model.present(path).is_none() {
                model.files.push(ModelFile { contents: vec![Vec::new()] });
                model.set(path, Some(model.files.len() - 1));
            }
        }
        Step::Write { path, position, length, byte } => {
            if let Some(file) = model.file(path) {
                open(path).unwrap().write_all_at(&vec![byte; length], position as u64).unwrap();
                file.change(|content| {
                    content.resize(content.len().max(position + length), 0);
                    content[position..position + length].fill(byte);
                });
            }
        }
        Step::SetLength { path, length } => {
            if let Some(file) = model.file(path) {
                open(path).unwrap().set_len(length as u64).unwrap();
                file.change(|content| content.resize(length, 0));
            }
        }
        Step::Sync(path) => {
            if let Some(file) = model.file(path) {
                open(path).unwrap().sync().unwrap();
                file.sync();
            }
        }
        Step::SyncDir(path) => {
            let dir = Path::new(PATHS[path]).parent().unwrap();
            disk.sync_dir(dir).unwrap();
            model.sync_dir(dir);
        }
        Step::Rename => {
            if let Some(file) = model.present(0) {
                disk.rename(Path::new(PATHS[0]), Path::new(PATHS[1])).unwrap();
                model.set(0, None);
                model.set(1, Some(file));
            }
        }
        Step::Remove(path) => {
            if model.present(path).is_some() {
                disk.remove_file(Path::new(PATHS[path])).unwrap();
                model.set(path, None);
            }
        }
    }
}

fn content(disk: &SimDisk, path: &str) -> Option<Vec<u8>> {
    let exists = disk.exists(Path::new(path)).unwrap();
    exists.then(|| crashsafe::read_file(disk, Path::new(path), 1 << 20).unwrap())
}

fn prepared(seed: u64) -> SimDisk {
    let disk = SimDisk::new(seed);
    crashsafe::create_dir_all(&disk, Path::new("/a")).unwrap();
    crashsafe::create_dir_all(&disk, Path::new("/b")).unwrap();
    disk
}

proptest! {
    #[test]
    fn a_crash_leaves_only_what_it_may(seed: u64, steps in vec(step(), 0..60)) {
        let (disk, mut model) = (prepared(seed), Model::new());
        for step in &steps {
            apply(&disk, &mut model, step);
            for (path, name) in PATHS.iter().enumerate() {
                let expected = model.file(path).map(|file| file.contents.last().unwrap().clone());
                prop_assert_eq!(content(&disk, name), expected, "what a running program sees");
            }
        }
        let after = disk.crash();
        let found = PATHS.map(|name| content(&after, name));
        for (path, name) in PATHS.iter().enumerate() {
            let allowed = model.names[&path].iter().any(|state| match (state, &found[path]) {
                (None, None) => true,
                (Some(file), Some(found)) => model.files[*file].may_be(found),
                _ => false,
            });
            prop_assert!(allowed, "{} must not be {:?}", name, found[path].as_ref().map(Vec::len));
        }
        let again = after.crash();
        prop_assert_eq!(PATHS.map(|name| content(&again, name)), found, "what survived is durable");
    }
}

/// The fates of one unsynced write of 2000 bytes over 1000 synced ones, over many seeds.
#[test]
fn every_fate_of_a_write_comes_up() {
    let mut fates = BTreeMap::new();
    for seed in 0..300 {
        let disk = prepared(seed);
        crashsafe::write_file(&disk, Path::new("/a/x"), &[1; 1000]).unwrap();
        let file = disk.open(Path::new("/a/x"), OpenMode::ReadWrite).unwrap();
        file.write_all_at(&[2; 2000], 500).unwrap();
        file.write_all_at(&[3; 100], 2500).unwrap();
        let found = content(&disk.crash(), "/a/x").unwrap();
        assert!(found.starts_with(&[1; 500]), "what was synced and not touched is there (seed {seed})");
        let new = found[500..].iter().filter(|byte| **byte == 2).count();
        let fate = match (found.len(), new) {
            (1000, 0) => "nothing",
            (2600, 2000) if found.ends_with(&[3; 100]) => "everything",
            (2600, count) if count < 2000 && found.ends_with(&[3; 100]) => {
                "the later write without the earlier"
            }
            (_, 0) => "the length alone",
            (length, count) if count < 2000 && length < 2500 => "torn and short",
            _ => "another mixture",
        };
        *fates.entry(fate).or_insert(0) += 1;
    }
    assert_eq!(fates.len(), 6, "{fates:?}");
}

#[test]
fn a_synced_file_vanishes_with_its_unsynced_name() {
    let outcomes: Vec<bool> = (0..50)
        .map(|seed| {
            let disk = prepared(seed);
            let file = disk.open(Path::new("/a/x"), OpenMode::Create).unwrap();
            file.write_all_at(b"content", 0).unwrap();
            file.sync().unwrap();
            let found = content(&disk.crash(), "/a/x");
            assert!(found.as_deref().is_none_or(|found| found == b"content"), "whole or gone");
            found.is_some()
        })
        .collect();
    assert!(outcomes.contains(&true) && outcomes.contains(&false));
}

#[test]
fn a_rename_across_directories_needs_the_target_synced() {
    let mut outcomes = [0; 2];
    for seed in 0..50 {
        let disk = prepared(seed);
        crashsafe::write_file(&disk, Path::new("/a/x"), b"content").unwrap();
        disk.rename(Path::new("/a/x"), Path::new("/b/x")).unwrap();
        disk.sync_dir(Path::new("/a")).unwrap();
        let half = disk.snapshot(seed).crash();
        let names = ["/a/x", "/b/x"].map(|name| half.exists(Path::new(name)).unwrap());
        assert!(names[0] != names[1], "under exactly one of its names: {names:?}");
        outcomes[usize::from(names[1])] += 1;
        disk.sync_dir(Path::new("/b")).unwrap();
        let whole = disk.crash();
        assert_eq!(content(&whole, "/a/x"), None);
        assert_eq!(content(&whole, "/b/x").as_deref(), Some(&b"content"[..]));
    }
    assert!(outcomes.iter().all(|count| *count > 0), "{outcomes:?}");
}

/// The reason for `crashsafe::write_file`, at every single call that changes the disk.
#[test]
fn write_file_leaves_the_old_or_the_new_at_every_crash() {
    for seed in 0..20 {
        for op in 1.. {
            let disk = prepared(seed);
            crashsafe::write_file(&disk, Path::new("/a/x"), &[1; 700]).unwrap();
            disk.crash_at_op(op);
            let outcome = crashsafe::write_file(&disk, Path::new("/a/x"), &[2; 1300]);
            let found = content(&disk.crash(), "/a/x").expect("there in any case");
            if outcome.is_ok() {
                assert_eq!(found, [2; 1300], "seed {seed}");
                assert_eq!(op, 6, "five calls change the disk");
                break;
            }
            assert!(found == [1; 700] || found == [2; 1300], "torn at call {op}, seed {seed}");
        }
    }
}

#[test]
fn create_dir_all_is_durable() {
    for seed in 0..20 {
        let disk = SimDisk::new(seed);
        crashsafe::create_dir_all(&disk, Path::new("data/logs/topic-0")).unwrap();
        assert!(disk.crash().exists(Path::new("data/logs/topic-0")).unwrap(), "seed {seed}");
    }
}

#[test]
fn nothing_opened_before_a_crash_works_after_it() {
    let disk = prepared(1);
    let file = disk.open(Path::new("/a/x"), OpenMode::Create).unwrap();
    let lock = disk.lock(Path::new("/a/.lock")).unwrap();
    let after = disk.crash();
    assert!(file.write_all_at(b"x", 0).is_err() && file.len().is_err() && file.sync().is_err());
    assert!(disk.open(Path::new("/a/x"), OpenMode::Create).is_err() && !disk.is_powered());
    let successor = after.lock(Path::new("/a/.lock")).unwrap();
    drop(lock);
    assert!(after.lock(Path::new("/a/.lock")).is_err(), "the dead lock released nothing");
    drop(successor);
}

#[test]
fn crashes_follow_from_the_seed() {
    let outcome = |seed| {
        let disk = prepared(seed);
        for (path, name) in PATHS.iter().enumerate() {
            let file = disk.open(Path::new(name), OpenMode::Create).unwrap();
            file.write_all_at(&[path as u8 + 1; 5000], 0).unwrap();
        }
        let after = disk.crash();
        (PATHS.map(|name| content(&after, name)), after.counters().calls(Operation::Write))
    };
    assert!((0..20).all(|seed| outcome(seed) == outcome(seed)));
    assert!((1..20).any(|seed| outcome(0) != outcome(seed)));
}

#[test]
fn a_renamed_file_never_ends_under_two_names() {
    let mut places = BTreeMap::new();
    for seed in 0..100 {
        let disk = prepared(seed);
        crashsafe::write_file(&disk, Path::new("/a/x"), b"content").unwrap();
        disk.rename(Path::new("/a/x"), Path::new("/a/y")).unwrap();
        disk.rename(Path::new("/a/y"), Path::new("/b/x")).unwrap();
        let after = disk.crash();
        let names: Vec<_> = PATHS.into_iter().filter(|name| content(&after, name).is_some()).collect();
        assert_eq!(names.len(), 1, "seed {seed}: {names:?}");
        *places.entry(names[0]).or_insert(0) += 1;
    }
    assert_eq!(places.len(), 3, "every stage comes up: {places:?}");
}
