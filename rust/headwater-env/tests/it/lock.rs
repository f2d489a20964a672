//! The lock of a data directory, against other processes: this test binary started again.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use headwater_env::real::RealDisk;
use headwater_env::{Disk, LockError};

const PATH_VARIABLE: &str = "HEADWATER_TEST_LOCK";

/// What the other process runs; in the ordinary run it has nothing to do.
#[test]
fn other_process() {
    let Some(path) = std::env::var_os(PATH_VARIABLE) else { return };
    let lock = RealDisk.lock(Path::new(&path));
    match &lock {
        Ok(_) => println!("\nANSWER got"),
        Err(LockError::Held { holder, .. }) => println!("\nANSWER held by {}", holder.pid),
        Err(error) => println!("\nANSWER {error}"),
    }
    // Until the test closes the pipe or kills this process.
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

fn start_other(path: &Path) -> (Child, String) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "lock::other_process", "--nocapture"])
        .env(PATH_VARIABLE, path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let answer = lines.map(Result::unwrap).find_map(|line| line.strip_prefix("ANSWER ").map(str::to_owned));
    (child, answer.expect("the other process answers"))
}

fn end(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_lock_excludes_other_processes_and_names_its_holder() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(".lock");
    let lock = RealDisk.lock(&path).unwrap();
    let held_by_us = format!("held by {}", std::process::id());

    let (other, answer) = start_other(&path);
    assert_eq!(answer, held_by_us);
    end(other);
    assert!(
        matches!(RealDisk.lock(&path), Err(LockError::Held { holder, .. }) if holder.pid == std::process::id())
    );
    let (other, answer) = start_other(&path);
    assert_eq!(answer, held_by_us, "the refusal within this process did not drop the lock");
    end(other);

    drop(lock);
    // Not before: reading it closes a descriptor of it, which is just what drops such a lock.
    assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{}\n", std::process::id()));
    let (other, answer) = start_other(&path);
    assert_eq!(answer, "got", "a dropped lock is free");
    let Err(LockError::Held { holder, .. }) = RealDisk.lock(&path) else { panic!("two have it") };
    assert_eq!(holder.pid, other.id());
    if cfg!(target_os = "linux") {
        assert!(holder.command.unwrap().contains("lock::other_process"));
    }
    end(other);
    RealDisk.lock(&path).expect("the lock of a killed process is taken over");
}

#[test]
fn a_link_does_not_hide_the_lock() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    std::fs::create_dir(&data).unwrap();
    std::os::unix::fs::symlink(&data, directory.path().join("link")).unwrap();
    let _lock = RealDisk.lock(&data.join(".lock")).unwrap();
    assert!(matches!(RealDisk.lock(&directory.path().join("link/.lock")), Err(LockError::Held { .. })));
}

/// A forked child that drops the lock it inherited must not take it from its parent.
#[test]
fn a_forked_child_releases_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(".lock");
    let lock = RealDisk.lock(&path).unwrap();
    super::fork::in_child(|| {
        // A copy of the value, as fork makes of all memory; the parent drops its own.
        // SAFETY: the child ends right after, so the value is dropped once in this process.
        drop(unsafe { std::ptr::read(&lock) });
        true
    });
    let (other, answer) = start_other(&path);
    assert_eq!(answer, format!("held by {}", std::process::id()));
    end(other);
}
