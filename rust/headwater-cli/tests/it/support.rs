//! Children: a server of one test's own, and commands that talk to it.

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Longer than anything here takes on a slow machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// What a command did.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Done {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).expect("stdout is text")
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Fails the test unless the exit code is 0.
    #[track_caller]
    pub(crate) fn ok(self) -> Done {
        assert_eq!(self.code, Some(0), "{self:?}");
        self
    }
}

/// The command, away from whatever the environment says.
pub(crate) fn headwater() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_headwater"));
    command.env_remove("HEADWATER_BOOTSTRAP").env_remove("HEADWATER_LOG").env_remove("COLUMNS");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs the command to its end with `stdin` as its input.
pub(crate) fn run_with(arguments: &[&str], stdin: &[u8]) -> Done {
    let mut child = headwater().args(arguments).stdin(Stdio::piped()).spawn().unwrap();
    let mut pipe = child.stdin.take().unwrap();
    let stdin = stdin.to_vec();
    // A command that fails early closes its end of the pipe.
    let writer = std::thread::spawn(move || drop(pipe.write_all(&stdin)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    Done {
        code: output.status.code(),
        stdout: output.stdout,
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

pub(crate) fn run(arguments: &[&str]) -> Done {
    run_with(arguments, b"")
}

pub(crate) fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

/// Waits for the end of a child, and kills one that does not come to it.
pub(crate) fn wait(child: &mut Child) -> ExitStatus {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if start.elapsed() > PATIENCE {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("the process did not end");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// `headwater start` on a free port, killed at the end of the test.
pub(crate) struct Server {
    pub(crate) child: Child,
    pub(crate) bootstrap: String,
    stdout: BufReader<ChildStdout>,
}

impl Server {
    pub(crate) fn start(data: &Path) -> Server {
        let mut child = headwater()
            .args(["start", "--listen", "127.0.0.1:0", "-c", "group.initial.rebalance.delay.ms=0", "--data"])
            .arg(data)
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let address = line.strip_prefix("headwater is serving at ").unwrap_or_else(|| panic!("{line:?}"));
        Server { bootstrap: address.trim_end().to_owned(), child, stdout }
    }

    /// Ends it with a signal; gives the status and what stdout said after the first line.
    pub(crate) fn end(mut self, how: Signal) -> (ExitStatus, String) {
        signal(&self.child, how);
        let status = wait(&mut self.child);
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        (status, rest)
    }

    /// Runs a command against this server.
    pub(crate) fn run(&self, arguments: &[&str]) -> Done {
        self.run_with(arguments, b"")
    }

    pub(crate) fn run_with(&self, arguments: &[&str], stdin: &[u8]) -> Done {
        run_with(&[arguments, &["--bootstrap", &self.bootstrap]].concat(), stdin)
    }

    pub(crate) fn create(&self, topic: &str, partitions: &str) {
        self.run(&["topic", "create", topic, "--partitions", partitions]).ok();
    }

    /// The command as a child, for tests that look at it while it runs.
    pub(crate) fn spawn(&self, arguments: &[&str]) -> Child {
        let mut command = headwater();
        command.args(arguments).args(["--bootstrap", &self.bootstrap]).stdin(Stdio::piped());
        command.spawn().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A server in a directory of its own.
pub(crate) fn server() -> (Server, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    (Server::start(&directory.path().join("data")), directory)
}

/// Each line of JSON.
pub(crate) fn json_lines(text: &[u8]) -> Vec<Value> {
    text.split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect()
}
