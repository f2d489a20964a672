//! The laws of a [`Disk`], for every implementation of it: what the rest of the system relies on.
//!
//! Only what a running program can see; what survives a crash is the business of [`crate::sim`] and its tests. Both
//! sides of this crate pass the same suite, so that what works on the simulated disk works on the real one.

use std::io::{self, ErrorKind};
use std::path::Path;

use crate::crashsafe;
use crate::disk::{DirEntry, Disk, DiskFile, LockError, OpenMode};

/// One law, to be checked in an empty directory.
type Law<D> = fn(&D, &Path);

/// Checks all laws in fresh directories below `root`, which must exist.
///
/// # Panics
/// If a law is broken, saying which.
pub fn check_disk<D: Disk>(disk: &D, root: &Path) {
    let laws: [(&str, Law<D>); 11] = [
        ("open-modes", open_modes),
        ("reading", reading),
        ("writing", writing),
        ("lengths", lengths),
        ("renaming-files", renaming_files),
        ("renaming-directories", renaming_directories),
        ("exchanging", exchanging),
        ("removing", removing),
        ("listing", listing),
        ("locking", locking),
        ("crash-safe", crash_safe),
    ];
    for (name, law) in laws {
        let directory = root.join(name);
        good(disk.create_dir_all(&directory), name);
        law(disk, &directory);
    }
}

/// Each mode creates, keeps, empties or refuses as it says.
pub fn open_modes<D: Disk>(disk: &D, root: &Path) {
    let path = root.join("file");
    fails(disk.open(&path, OpenMode::Read), ErrorKind::NotFound, "reading a missing file");
    fails(disk.open(&path, OpenMode::ReadWrite), ErrorKind::NotFound, "ReadWrite does not create");
    fails(
        disk.open(&root.join("no/file"), OpenMode::Create),
        ErrorKind::NotFound,
        "the directory must exist",
    );
    let file = good(disk.open(&path, OpenMode::CreateNew), "create new");
    good(file.write_all_at(b"content", 0), "write");
    fails(disk.open(&path, OpenMode::CreateNew), ErrorKind::AlreadyExists, "CreateNew refuses");
    fails(disk.open(&path.join("below"), OpenMode::Create), ErrorKind::NotADirectory, "a file has no files");
    fails(disk.open(root, OpenMode::Create), ErrorKind::IsADirectory, "a directory is no file");

    for mode in [OpenMode::Read, OpenMode::ReadWrite, OpenMode::Create] {
        let file = good(disk.open(&path, mode), "open");
        assert_eq!(content(&file), b"content", "{mode:?} keeps the content");
    }
    let file = good(disk.open(&path, OpenMode::Read), "open to read");
    assert!(file.write_all_at(b"x", 0).is_err(), "a file opened to read cannot be written");
    fails(file.set_len(0), ErrorKind::InvalidInput, "nor cut");
    let file = good(disk.open(&path, OpenMode::Truncate), "truncate");
    assert_eq!(content(&file), b"", "Truncate empties");
    good(disk.open(&root.join("other"), OpenMode::Truncate), "Truncate creates");
}

/// Reads stop at the end of the file; handles see each other's writes at once.
pub fn reading<D: Disk>(disk: &D, root: &Path) {
    let path = root.join("file");
    let writer = good(disk.open(&path, OpenMode::Create), "create");
    let reader = good(disk.open(&path, OpenMode::Read), "open");
    good(writer.write_all_at(b"0123456789", 0), "write");
    let mut buffer = [0; 6];
    assert_eq!(good(reader.read_at(&mut buffer, 2), "read"), 6, "a full buffer inside the file");
    assert_eq!(&buffer, b"234567", "the bytes at the position");
    assert_eq!(good(reader.read_at(&mut buffer, 8), "read"), 2, "fewer at the end");
    assert_eq!(&buffer[..2], b"89", "up to the end");
    assert_eq!(good(reader.read_at(&mut buffer, 10), "read"), 0, "nothing at the end");
    assert_eq!(good(reader.read_at(&mut buffer, 1 << 40), "read"), 0, "nothing far past the end");
    good(reader.read_exact_at(&mut buffer, 4), "the last bytes");
    fails(reader.read_exact_at(&mut buffer, 5), ErrorKind::UnexpectedEof, "one byte too many");
    let map = good(reader.map(), "map");
    assert_eq!(&map[..], b"0123456789", "a map is the whole content");
    let empty = good(disk.open(&root.join("empty"), OpenMode::Create), "create");
    assert!(good(empty.map(), "map").is_empty(), "an empty file can be mapped");
}

/// Writes overwrite, lengthen, and leave zeros in a gap.
pub fn writing<D: Disk>(disk: &D, root: &Path) {
    let file = good(disk.open(&root.join("file"), OpenMode::Create), "create");
    assert!(good(file.is_empty(), "is_empty"), "a new file is empty");
    good(file.write_all_at(b"abcdef", 0), "write");
    good(file.write_all_at(b"XY", 2), "overwrite");
    assert_eq!(content(&file), b"abXYef", "overwritten in place");
    good(file.write_all_at(b"ghi", 5), "write across the end");
    assert_eq!(content(&file), b"abXYeghi", "lengthened");
    good(file.write_all_at(b"!", 10), "write past the end");
    assert_eq!(content(&file), b"abXYeghi\0\0!", "a gap of zeros");
    good(file.write_all_at(b"", 100), "write nothing");
    assert_eq!(good(file.len(), "len"), 11, "which changes nothing");
    good(file.sync(), "sync");
    assert_eq!(content(&file), b"abXYeghi\0\0!", "sync changes nothing to see");
}

/// `set_len` cuts, and lengthens with zeros, whatever stood there before.
pub fn lengths<D: Disk>(disk: &D, root: &Path) {
    let file = good(disk.open(&root.join("file"), OpenMode::Create), "create");
    good(file.write_all_at(b"abcdef", 0), "write");
    good(file.set_len(3), "cut");
    assert_eq!(content(&file), b"abc", "cut");
    good(file.set_len(5), "lengthen");
    assert_eq!(content(&file), b"abc\0\0", "what was cut does not come back");
    good(file.set_len(5), "same length");
    assert_eq!(good(file.len(), "len"), 5, "same length");
}

/// A rename replaces a file, and open handles follow the file, not the name.
pub fn renaming_files<D: Disk>(disk: &D, root: &Path) {
    let (old, new) = (root.join("old"), root.join("new"));
    fails(disk.rename(&old, &new), ErrorKind::NotFound, "renaming a missing file");
    let renamed = write(disk, &old, b"renamed");
    let replaced = write(disk, &new, b"replaced");
    good(disk.rename(&old, &new), "rename");
    assert!(!good(disk.exists(&old), "exists"), "the old name is gone");
    assert_eq!(content(&open(disk, &new)), b"renamed", "the new name is the renamed file");
    good(renamed.write_all_at(b"R", 0), "write by the handle");
    assert_eq!(content(&open(disk, &new)), b"Renamed", "the handle follows");
    assert_eq!(content(&replaced), b"replaced", "a replaced file stays readable by its handle");
    good(disk.rename(&new, &new), "rename to itself");
    assert_eq!(content(&open(disk, &new)), b"Renamed", "which changes nothing");
    let directory = root.join("directory");
    good(disk.create_dir_all(&directory), "create directory");
    fails(disk.rename(&new, &directory), ErrorKind::IsADirectory, "a file does not replace a directory");
    good(disk.rename(&new, &directory.join("new")), "rename across directories");
    assert_eq!(content(&open(disk, &directory.join("new"))), b"Renamed", "moved");
    fails(
        disk.rename(&directory.join("new"), &root.join("no/new")),
        ErrorKind::NotFound,
        "no such directory",
    );
}

/// Two names are exchanged in one step, or nothing happens.
pub fn exchanging<D: Disk>(disk: &D, root: &Path) {
    let (file, directory) = (root.join("file"), root.join("directory"));
    drop(write(disk, &file, b"content"));
    good(disk.create_dir_all(&directory), "create");
    drop(write(disk, &directory.join("inside"), b"inside"));
    assert!(disk.exchange(&file, &root.join("missing")).is_err(), "both names must exist");
    match disk.exchange(&file, &directory) {
        Ok(()) => {
            assert_eq!(content(&open(disk, &directory)), b"content", "each has the other's name");
            assert_eq!(content(&open(disk, &file.join("inside"))), b"inside", "with all below it");
        }
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
            assert_eq!(content(&open(disk, &file)), b"content", "nothing has happened");
            assert_eq!(content(&open(disk, &directory.join("inside"))), b"inside", "nothing has happened");
        }
    }
}

/// Directories are renamed with all below them, and replace only empty ones.
pub fn renaming_directories<D: Disk>(disk: &D, root: &Path) {
    let (old, new) = (root.join("old"), root.join("new"));
    good(disk.create_dir_all(&old.join("deep")), "create");
    write(disk, &old.join("deep/file"), b"below");
    good(disk.create_dir_all(&new), "create");
    good(disk.rename(&old, &new), "replace an empty directory");
    assert_eq!(content(&open(disk, &new.join("deep/file"))), b"below", "all below moved along");
    assert!(!good(disk.exists(&old), "exists"), "the old name is gone");
    good(disk.create_dir_all(&old), "create again");
    fails(disk.rename(&old, &new), ErrorKind::DirectoryNotEmpty, "a full directory is not replaced");
    fails(disk.rename(&new, &new.join("deep/inside")), ErrorKind::InvalidInput, "not into itself");
    write(disk, &root.join("file"), b"");
    fails(disk.rename(&old, &root.join("file")), ErrorKind::NotADirectory, "nor a file");
}

/// Removed names are gone; what is open stays usable.
pub fn removing<D: Disk>(disk: &D, root: &Path) {
    let path = root.join("file");
    let file = write(disk, &path, b"content");
    good(disk.remove_file(&path), "remove");
    assert!(!good(disk.exists(&path), "exists"), "gone");
    fails(disk.remove_file(&path), ErrorKind::NotFound, "removing it again");
    good(file.write_all_at(b"C", 0), "write to a removed file");
    assert_eq!(content(&file), b"Content", "read a removed file");
    write(disk, &path, b"successor");
    assert_eq!(content(&file), b"Content", "a new file of the name is another file");

    let directory = root.join("directory");
    good(disk.create_dir_all(&directory.join("a/b")), "create");
    write(disk, &directory.join("a/b/file"), b"");
    assert!(disk.remove_file(&directory).is_err(), "a directory is not removed as a file");
    fails(disk.remove_dir_all(&path), ErrorKind::NotADirectory, "nor a file as a directory");
    good(disk.remove_dir_all(&directory), "remove all");
    assert!(!good(disk.exists(&directory), "exists"), "gone with all below");
    fails(disk.remove_dir_all(&directory), ErrorKind::NotFound, "removing it again");
    assert!(good(disk.exists(&path), "exists"), "the neighbour stays");
}

/// Entries are sorted by name and tell directories from files.
pub fn listing<D: Disk>(disk: &D, root: &Path) {
    assert_eq!(good(disk.read_dir(root), "read_dir"), [], "a new directory is empty");
    for name in ["b", "a", "c10", "c9"] {
        write(disk, &root.join(name), b"");
    }
    good(disk.create_dir_all(&root.join("bb/below")), "create");
    good(disk.create_dir_all(&root.join("bb/below")), "create what exists");
    let expected = [("a", false), ("b", false), ("bb", true), ("c10", false), ("c9", false)];
    let expected = expected.map(|(name, is_dir)| DirEntry { name: name.to_owned(), is_dir });
    assert_eq!(good(disk.read_dir(root), "read_dir"), expected, "sorted, only direct entries");
    fails(disk.read_dir(&root.join("none")), ErrorKind::NotFound, "listing a missing directory");
    fails(disk.read_dir(&root.join("a")), ErrorKind::NotADirectory, "listing a file");
    fails(disk.create_dir_all(&root.join("a")), ErrorKind::AlreadyExists, "a file is in the way");
    fails(disk.create_dir_all(&root.join("a/below")), ErrorKind::NotADirectory, "a file is in the way");
    good(disk.sync_dir(root), "sync_dir");
    fails(disk.sync_dir(&root.join("none")), ErrorKind::NotFound, "syncing a missing directory");
}

/// A lock excludes everybody until it is dropped.
pub fn locking<D: Disk>(disk: &D, root: &Path) {
    let path = root.join(".lock");
    let lock = disk.lock(&path).unwrap_or_else(|error| panic!("the first lock is given: {error}"));
    assert_eq!(lock.path(), path, "the lock knows its path");
    for path in [path.clone(), root.join("./.lock")] {
        match disk.lock(&path) {
            Err(LockError::Held { .. }) => {}
            other => panic!("a second lock is refused, not {other:?}"),
        }
    }
    let other =
        disk.lock(&root.join("other")).unwrap_or_else(|error| panic!("another file is free: {error}"));
    drop(lock);
    disk.lock(&path).unwrap_or_else(|error| panic!("a dropped lock is free: {error}"));
    drop(other);
    match disk.lock(&root.join("none/.lock")) {
        Err(LockError::Io { source, .. }) => {
            assert_eq!(source.kind(), ErrorKind::NotFound, "no such directory")
        }
        other => panic!("a lock needs its directory, not {other:?}"),
    }
}

/// The helpers of [`crashsafe`] do what they say while nothing crashes.
pub fn crash_safe<D: Disk>(disk: &D, root: &Path) {
    let path = root.join("made/of/many/file");
    good(crashsafe::create_dir_all(disk, crashsafe::parent(&path)), "create_dir_all");
    good(crashsafe::create_dir_all(disk, crashsafe::parent(&path)), "create_dir_all again");
    good(crashsafe::write_file(disk, &path, b"first"), "write_file");
    good(crashsafe::write_file(disk, &path, b"2nd"), "write_file again");
    assert_eq!(good(crashsafe::read_file(disk, &path, 3), "read_file"), b"2nd", "replaced whole");
    fails(crashsafe::read_file(disk, &path, 2), ErrorKind::FileTooLarge, "above the limit");
    let entries = good(disk.read_dir(crashsafe::parent(&path)), "read_dir");
    assert_eq!(entries.len(), 1, "no temporary file stays: {entries:?}");
    good(crashsafe::rename(disk, &path, &root.join("file")), "rename");
    good(crashsafe::remove_dir_durably(disk, &root.join("made")), "remove_dir_durably");
    good(crashsafe::remove_dir_durably(disk, &root.join("made")), "a missing one is fine");
    good(crashsafe::remove_file_durably(disk, &root.join("file")), "remove_file_durably");
    good(crashsafe::remove_file_durably(disk, &root.join("file")), "a missing one is fine");
    assert_eq!(good(disk.read_dir(root), "read_dir"), [], "all gone");
}

fn write<D: Disk>(disk: &D, path: &Path, bytes: &[u8]) -> D::File {
    let file = good(disk.open(path, OpenMode::CreateNew), "create");
    good(file.write_all_at(bytes, 0), "write");
    file
}

fn open<D: Disk>(disk: &D, path: &Path) -> D::File {
    good(disk.open(path, OpenMode::Read), "open")
}

fn content(file: &impl DiskFile) -> Vec<u8> {
    let length = usize::try_from(good(file.len(), "len")).expect("a small file");
    let mut bytes = vec![0; length];
    good(file.read_exact_at(&mut bytes, 0), "read all");
    bytes
}

fn good<T>(outcome: io::Result<T>, what: &str) -> T {
    outcome.unwrap_or_else(|error| panic!("{what}: {error}"))
}

fn fails<T>(outcome: io::Result<T>, kind: ErrorKind, what: &str) {
    match outcome {
        Err(error) => assert_eq!(error.kind(), kind, "{what}: {error}"),
        Ok(_) => panic!("{what}: should fail with {kind:?}"),
    }
}
