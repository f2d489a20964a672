//! The laws a log keeps, as a suite that runs on any environment: [`RealWorld`] or [`SimWorld`].
//!
//! ```text
//!   seed ──► steps: append (leader, follower, producers, transactions), flush, roll, checkpoint, retain,
//!            delete records, truncate, restart, stop cleanly, crash at any write ──► after each reopening:
//! ```
//!
//! 1. What was flushed is there, byte for byte, and what was cut is gone; what was neither is a prefix.
//! 2. `log_start <= last_stable <= high_watermark <= log_end`, the log start is one that was asked for.
//! 3. Indexes agree with the log: times, aborted transactions and the offline verifier find what a scan finds.
//! 4. Producer state equals a rebuild from every batch; a batch that is sent again is never appended twice.
//! 5. Leader epochs are those of the batches.
//! 6. A read-only look at the files sees exactly what the next open recovers, and changes nothing.

mod check;
mod generate;
mod model;
mod world;

use std::path::Path;

use headwater_env::Env;
use headwater_record::{TopicPartition, Uuid};

use crate::config::{CleanupPolicy, LogConfig, LogIdentity};
use crate::error::{AppendError, StorageError};
use crate::log::Log;
use crate::log_dir::{LogDir, LogDirOptions, Placement, ReadOnlyDir};
use crate::types::Origin;
use generate::{Generator, Random};
use model::Model;
pub use world::{RealWorld, SimWorld, World};

const TOPIC: &str = "laws";
const TOPIC_ID: Uuid = Uuid::from_bytes([3; 16]);

/// What a run did, to see that it was not idle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LawsReport {
    /// Batches appended.
    pub appended: u64,
    /// Crashes survived.
    pub crashes: u64,
    /// Clean restarts.
    pub restarts: u64,
    /// Truncations and restarts at an offset.
    pub truncations: u64,
    /// Segments retired.
    pub retired: u64,
}

impl LawsReport {
    /// Adds up the reports of several seeds.
    pub fn add(&mut self, other: LawsReport) {
        self.appended += other.appended;
        self.crashes += other.crashes;
        self.restarts += other.restarts;
        self.truncations += other.truncations;
        self.retired += other.retired;
    }
}

/// Runs `steps` random steps from `seed` in `directory`, which is empty at the start.
///
/// # Panics
/// When a law is broken; the message says which, the seed repeats it on the simulated disk.
pub async fn run<W: World>(world: W, directory: &Path, seed: u64, steps: u64) -> LawsReport {
    let mut random = Random::new(seed);
    let config = random_config(&mut random);
    let mut run = Run::start(world, directory, random, config).await;
    for _ in 0..steps {
        run.step().await;
    }
    run.crash_and_check().await;
    run.stop_and_check().await;
    run.report
}

fn random_config(random: &mut Random) -> LogConfig {
    LogConfig {
        segment_bytes: 1024 + random.below(6 * 1024) as u32,
        index_interval_bytes: random.below(1024) as u32,
        segment_ms: if random.one_in(4) { 2_000 } else { 1 << 40 },
        retention_ms: -1,
        cleanup_policy: CleanupPolicy::DELETE,
        flush: random.one_in(2),
        verify_reads: random.one_in(2),
        ..LogConfig::default()
    }
}

/// The directory and its only log.
type Opened<E> = (LogDir<E>, Log<E>);

struct Run<'a, W: World> {
    world: W,
    directory: &'a Path,
    random: Random,
    config: LogConfig,
    opened: Option<Opened<W::Env>>,
    model: Model,
    generator: Generator,
    report: LawsReport,
}

impl<'a, W: World> Run<'a, W> {
    async fn start(world: W, directory: &'a Path, random: Random, config: LogConfig) -> Run<'a, W> {
        let mut run = Run {
            world,
            directory,
            random,
            config,
            opened: None,
            model: Model::default(),
            generator: Generator::default(),
            report: LawsReport::default(),
        };
        let directory = run.open_directory().await;
        let log = directory.create_log(identity(), run.config.clone()).expect("a new log");
        run.opened = Some((directory, log));
        run
    }

    async fn open_directory(&self) -> LogDir<W::Env> {
        let options = LogDirOptions::new(1);
        let directory = LogDir::open(self.world.env(), self.directory, options).expect("the directory opens");
        let config = self.config.clone();
        let place = move |_: &_| Placement::Open(identity(), config.clone());
        let loaded = directory.load(place).await.expect("the directory loads");
        assert!(loaded.failed.is_empty(), "the log does not open: {:?}", loaded.failed);
        directory
    }

    fn log(&self) -> &Log<W::Env> {
        &self.opened.as_ref().expect("open between the steps").1
    }

    async fn step(&mut self) {
        if !self.world.is_powered() {
            // A task of the directory met the end of the power before a step did.
            return self.crash_and_check().await;
        }
        let now_ms = self.world.env().wall_ms();
        let outcome = match self.random.below(100) {
            0..40 => self.append_as_leader(now_ms),
            40..48 => self.end_transaction(now_ms),
            48..53 => self.append_as_follower(now_ms),
            53..57 => self.send_again(now_ms),
            57..65 => self.log().flush().map(|_| ()),
            65..72 => self.move_high_watermark(),
            72..76 => self.retain(now_ms),
            76..78 => self.delete_records(),
            78..82 => self.truncate(),
            82 => self.restart_at(),
            83..86 => self.checkpoint(),
            86..89 => {
                // The flusher and other tasks only run while somebody waits.
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                Ok(())
            }
            89..92 => {
                let log = self.log().clone();
                check::everything(&log, &self.model, &mut self.random);
                Ok(())
            }
            92..94 => return self.stop_and_check().await,
            94..96 => return self.crash_and_check().await,
            _ => {
                self.world.crash_after(1 + self.random.below(30));
                Ok(())
            }
        };
        match outcome {
            Ok(()) => self.model.flushed(self.log().flushed()),
            Err(error) => {
                assert!(!self.world.is_powered(), "an error without a cause: {error}");
                self.crash_and_check().await;
            }
        }
    }

    fn append_as_leader(&mut self, now_ms: i64) -> Result<(), StorageError> {
        let (mut bytes, epoch) = self.generator.batch(&mut self.random, now_ms);
        self.append(&mut bytes, epoch, Origin::Client, now_ms)
    }

    fn end_transaction(&mut self, now_ms: i64) -> Result<(), StorageError> {
        let Some((mut bytes, epoch)) = self.generator.marker(&mut self.random, now_ms) else { return Ok(()) };
        self.append(&mut bytes, epoch, Origin::Coordinator, now_ms)
    }

    fn append(
        &mut self,
        bytes: &mut [u8],
        epoch: i32,
        origin: Origin,
        now_ms: i64,
    ) -> Result<(), StorageError> {
        match self.log().append_as_leader(&mut *bytes, epoch, origin, now_ms) {
            Ok(appended) => {
                assert!(!appended.duplicate);
                self.model.append(bytes);
                assert_eq!(appended.last_offset + 1, self.model.end);
                self.generator.appended(bytes);
                self.report.appended += 1;
                Ok(())
            }
            Err(AppendError::Storage(error)) => {
                // Whether it is in the file is open; if it is, recovery may keep it.
                self.model.append_perhaps(bytes);
                Err(error)
            }
            Err(error) => panic!("a good batch was refused: {error}"),
        }
    }

    fn append_as_follower(&mut self, now_ms: i64) -> Result<(), StorageError> {
        let bytes = self.generator.fetched(&mut self.random, now_ms, self.model.end);
        match self.log().append_as_follower(&bytes) {
            Ok(_) => {
                self.model.append(&bytes);
                self.generator.appended(&bytes);
                self.report.appended += 1;
                Ok(())
            }
            Err(AppendError::Storage(error)) => {
                self.model.append_perhaps(&bytes);
                Err(error)
            }
            Err(error) => panic!("fetched batches were refused: {error}"),
        }
    }

    /// A producer's last batch is recognised, an older one recognised or refused; neither is appended.
    fn send_again(&mut self, now_ms: i64) -> Result<(), StorageError> {
        let Some((batch, is_last)) = self.generator.sent(&mut self.random, &self.model) else {
            return Ok(());
        };
        let (base, last, mut bytes) =
            (batch.header.base_offset, batch.header.last_offset(), batch.bytes.clone());
        let epoch = self.generator.leader_epoch();
        match self.log().append_as_leader(&mut bytes[..], epoch, Origin::Client, now_ms) {
            Ok(appended) => {
                assert!(appended.duplicate, "appended twice: offset {base}");
                assert_eq!((appended.first_offset, appended.last_offset), (base, last));
                Ok(())
            }
            Err(AppendError::Storage(error)) => Err(error),
            Err(AppendError::OutOfOrderSequence { .. }) if !is_last => Ok(()),
            Err(error) => panic!("the batch at offset {base} was sent again and refused: {error}"),
        }
    }

    fn move_high_watermark(&mut self) -> Result<(), StorageError> {
        let flushed = self.log().flushed();
        let lowest = if self.random.one_in(3) { self.model.start } else { flushed };
        let target = self.random.between(lowest, flushed).max(self.model.start);
        let moved = self.log().set_high_watermark(self.model.boundary_below(target));
        assert!(moved <= flushed.max(self.model.start));
        Ok(())
    }

    fn retain(&mut self, now_ms: i64) -> Result<(), StorageError> {
        let keep = self.random.below(2 * self.log().size().max(1)) as i64;
        self.log().set_config(LogConfig { retention_bytes: keep, ..self.config.clone() });
        // The log start goes up to at most the high watermark, wherever a crash stops the pass.
        self.model.start_may_be(self.log().high_watermark());
        let retired = self.log().apply_retention(now_ms)?;
        self.report.retired += retired.segments as u64;
        self.model.start_is(self.log().log_start());
        Ok(())
    }

    fn delete_records(&mut self) -> Result<(), StorageError> {
        let progress = self.log().progress();
        let target = self.random.between(progress.log_start, progress.high_watermark);
        self.model.start_may_be(target);
        match self.log().delete_records_before(target) {
            Ok(start) => {
                assert_eq!(start, target.max(progress.log_start));
                self.model.start_is(start);
                Ok(())
            }
            Err(crate::error::DeleteRecordsError::Storage(error)) => Err(error),
            Err(error) => panic!("records below the high watermark were not deleted: {error}"),
        }
    }

    fn truncate(&mut self) -> Result<(), StorageError> {
        let target = self.random.between(self.model.start, self.model.end);
        let expected = if target == self.model.end { target } else { self.model.end_below(target) };
        if expected < self.model.start {
            return self.restart_by(target, |log| log.truncate_to(target).map(|_| ()));
        }
        self.model.may_be_cut_to(expected);
        let end = self.log().truncate_to(target)?;
        assert_eq!(end, expected, "cut to {target}");
        self.report.truncations += 1;
        self.model.cut_to(end);
        self.model.start_is(self.log().log_start());
        self.generator.rebuild(&self.model);
        Ok(())
    }

    fn restart_at(&mut self) -> Result<(), StorageError> {
        let target = self.random.between(0, 2 * self.model.end + 10);
        self.restart_by(target, |log| log.restart_at(target))
    }

    fn restart_by(
        &mut self,
        target: i64,
        restart: impl Fn(&Log<W::Env>) -> Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        self.model.may_restart_at(target);
        restart(self.log())?;
        self.report.truncations += 1;
        self.model.restarted_at(target);
        self.generator.rebuild(&self.model);
        Ok(())
    }

    fn checkpoint(&mut self) -> Result<(), StorageError> {
        let (directory, log) = self.opened.as_ref().expect("open between the steps");
        if self.random.one_in(2) {
            log.checkpoint_with_snapshot()?;
        }
        directory.checkpoint()
    }

    async fn stop_and_check(&mut self) {
        let (directory, log) = self.opened.take().expect("open between the steps");
        let before = log.progress();
        drop(log);
        if directory.close().await.is_err() {
            assert!(!self.world.is_powered(), "a clean stop failed");
            drop(directory);
            return self.reopen_after_crash().await;
        }
        drop(directory);
        self.report.restarts += 1;
        let found = crate::verify::verify_directory(self.world.env().disk(), self.directory);
        if let Ok(found) = found {
            assert!(found.findings.is_empty(), "after a clean stop: {:#?}", found.findings);
        }
        if !self.world.is_powered() {
            return self.reopen_after_crash().await;
        }
        self.world.crash_after(0);
        self.model.flushed(before.log_end);
        let directory = self.open_directory().await;
        let log = directory.log(&partition()).expect("it was there");
        assert_eq!((log.log_start(), log.log_end()), (before.log_start, before.log_end));
        assert_eq!(log.high_watermark(), before.high_watermark);
        self.opened = Some((directory, log));
        self.settle();
    }

    async fn crash_and_check(&mut self) {
        self.opened = None;
        self.reopen_after_crash().await;
    }

    async fn reopen_after_crash(&mut self) {
        self.world.crash().await;
        self.report.crashes += 1;
        let seen = self.look();
        let directory = self.open_directory().await;
        let log = directory.log(&partition());
        let log = match log {
            Some(log) => log,
            // Its creation was not acknowledged, or there would be something in the model.
            None => directory.create_log(identity(), self.config.clone()).expect("a new log"),
        };
        if let Some((end, bytes)) = seen {
            assert_eq!(end, log.log_end(), "a read-only look ends elsewhere");
            assert_eq!(bytes, check::read_all(&log), "a read-only look sees other bytes");
        }
        self.opened = Some((directory, log));
        self.settle();
    }

    /// What a read-only look at the files shows; `None` where there is no segment yet.
    fn look(&self) -> Option<(i64, Vec<u8>)> {
        let directory = ReadOnlyDir::open(self.world.env(), self.directory).ok()?;
        let log = directory.open_log(&partition()).ok()?;
        let bytes = check::read_all_read_only(&log);
        Some((log.progress().log_end, bytes))
    }

    /// Tells the model what was recovered, and checks it.
    fn settle(&mut self) {
        let (_, log) = self.opened.as_ref().expect("just opened");
        let is_new = log.size() == 0 && log.producers().is_empty();
        self.model.recovered(log.progress(), is_new);
        self.generator.rebuild(&self.model);
        check::everything(log, &self.model, &mut self.random);
    }
}

fn partition() -> TopicPartition {
    TopicPartition::new(TOPIC, 0)
}

fn identity() -> LogIdentity {
    LogIdentity::new(TOPIC, TOPIC_ID, 0)
}
