//! Reading the metadata log at the start: what is in it, where it ends, and whether anything is missing.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use headwater_env::{Disk, DiskFile, OpenMode, crashsafe};

use super::frame::{
    Frame, Framed, NoFrame, SEGMENT_HEADER_SIZE, VERSION, decode_frame, decode_segment_header,
    encode_segment_header, find_witness,
};
use super::types::{RaftLogId, RaftVote};
use super::wal::{ALLOCATION_RESERVE, Slot};
use crate::error::OpenError;
use crate::records::{Encoder, RecordError};

/// Snapshots keep a log far below this.
const SEGMENT_SIZE_MAX: usize = 1 << 30;
const SUFFIX: &str = ".log";

/// One file of the log.
#[derive(Debug)]
pub(super) struct Segment<F> {
    pub(super) number: u64,
    pub(super) path: PathBuf,
    pub(super) file: Arc<F>,
    /// Highest index of an entry that was ever written to it.
    pub(super) last_index: Option<u64>,
    /// Bytes that hold frames.
    pub(super) end: u64,
    /// Bytes of the file: up to here there is room on the disk.
    pub(super) allocated: u64,
}

/// Everything the files say.
#[derive(Debug)]
pub(super) struct Content<F> {
    /// In order; the last one is written to.
    pub(super) segments: VecDeque<Segment<F>>,
    /// The live entries, from `first_index` on.
    pub(super) slots: VecDeque<Slot<F>>,
    pub(super) first_index: u64,
    pub(super) purged: Option<RaftLogId>,
    pub(super) vote: Option<RaftVote>,
    pub(super) committed: Option<RaftLogId>,
    pub(super) next_sequence: u64,
    /// Bytes of the frames of all live entries.
    pub(super) live_bytes: u64,
}

impl<F> Content<F> {
    fn new() -> Content<F> {
        Content {
            segments: VecDeque::new(),
            slots: VecDeque::new(),
            first_index: 0,
            purged: None,
            vote: None,
            committed: None,
            next_sequence: 0,
            live_bytes: 0,
        }
    }

    /// Makes what a frame says true. The same code runs for frames that are being written.
    pub(super) fn replay(&mut self, frame: &Frame, slot: impl FnOnce() -> Slot<F>) -> Result<(), String> {
        match frame {
            Frame::Entry(entry) => {
                let next = self.first_index + self.slots.len() as u64;
                if self.slots.is_empty() && self.purged.is_none_or(|purged| purged.index < entry.log_id.index)
                {
                    self.first_index = entry.log_id.index;
                } else if entry.log_id.index != next {
                    return Err(format!("entry {} comes where {next} should", entry.log_id.index));
                }
                let slot = slot();
                self.live_bytes += slot.size as u64;
                self.slots.push_back(slot);
            }
            Frame::Vote(vote) => self.vote = Some(*vote),
            Frame::Committed(id) => self.committed = *id,
            Frame::TruncateAfter(id) => {
                let keep = id.map_or(0, |id| (id.index + 1).saturating_sub(self.first_index));
                let keep = usize::try_from(keep).unwrap_or(usize::MAX).min(self.slots.len());
                self.live_bytes -= self.slots.drain(keep..).map(|slot| slot.size as u64).sum::<u64>();
            }
            Frame::Purged(id) => {
                let gone = (id.index + 1).saturating_sub(self.first_index);
                let gone = usize::try_from(gone).unwrap_or(usize::MAX).min(self.slots.len());
                self.live_bytes -= self.slots.drain(..gone).map(|slot| slot.size as u64).sum::<u64>();
                self.first_index = self.first_index.max(id.index + 1);
                self.purged = self.purged.max(Some(*id));
            }
        }
        Ok(())
    }
}

pub(super) fn segment_path(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("{number:020}{SUFFIX}"))
}

/// Numbers of the segments in `directory`, in order.
pub(super) fn segment_numbers<D: Disk>(disk: &D, directory: &Path) -> Result<Vec<u64>, OpenError> {
    let entries = disk.read_dir(directory).map_err(|source| io_error("list", directory, source))?;
    let number = |name: &str| name.strip_suffix(SUFFIX).filter(|stem| stem.len() == 20)?.parse().ok();
    let mut numbers: Vec<u64> = entries.iter().filter_map(|entry| number(&entry.name)).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

pub(super) fn io_error(action: &'static str, path: &Path, source: std::io::Error) -> OpenError {
    OpenError::Io { action, path: path.to_owned(), source }
}

/// Creates a segment that holds `frames`, whole and durable under its name, or not at all.
pub(super) fn create_segment<D: Disk>(
    disk: &D,
    directory: &Path,
    number: u64,
    frames: &[Frame],
    first_sequence: u64,
) -> std::io::Result<Segment<D::File>> {
    let mut encoder = Encoder::new();
    encode_segment_header(&mut encoder, number, first_sequence);
    for (frame, sequence) in frames.iter().zip(first_sequence..) {
        // Everything before this segment is synced before it is created.
        super::frame::encode_frame(&mut encoder, frame, sequence, first_sequence.saturating_sub(1));
    }
    let mut bytes = encoder.into_bytes();
    let end = bytes.len() as u64;
    // Room for the votes and marks to come, so that a full disk stops proposals and nothing else.
    bytes.resize(bytes.len() + ALLOCATION_RESERVE as usize, 0);
    let path = segment_path(directory, number);
    crashsafe::write_file(disk, &path, &bytes)?;
    let file = Arc::new(disk.open(&path, OpenMode::ReadWrite)?);
    Ok(Segment { number, path, file, last_index: None, end, allocated: bytes.len() as u64 })
}

/// Reads all segments. A torn tail of the last one is cut off, durably; everything else that is wrong is an error
/// and nothing is changed.
pub(super) fn read_log<D: Disk>(disk: &D, directory: &Path) -> Result<Content<D::File>, OpenError> {
    let numbers = segment_numbers(disk, directory)?;
    let mut content = Content::new();
    for (index, number) in numbers.iter().enumerate() {
        let path = segment_path(directory, *number);
        if index > 0 && numbers[index - 1] + 1 != *number {
            return Err(damaged(&path, 0, "the segment before it is missing"));
        }
        let is_last = index + 1 == numbers.len();
        read_segment(disk, &path, *number, is_last, &mut content)?;
    }
    check_start(&content)?;
    Ok(content)
}

/// What is needed must all be there: the entries begin right after the purged ones.
fn check_start<F>(content: &Content<F>) -> Result<(), OpenError> {
    let expected = content.purged.map_or(0, |purged| purged.index + 1);
    match content.segments.front() {
        Some(segment) if !content.slots.is_empty() && content.first_index != expected => Err(damaged(
            &segment.path,
            0,
            format!("the log begins with entry {} instead of {expected}", content.first_index),
        )),
        _ => Ok(()),
    }
}

fn read_segment<D: Disk>(
    disk: &D,
    path: &Path,
    number: u64,
    is_last: bool,
    content: &mut Content<D::File>,
) -> Result<(), OpenError> {
    let bytes = crashsafe::read_file(disk, path, SEGMENT_SIZE_MAX)
        .map_err(|source| io_error("read", path, source))?;
    let (found, first_sequence) = decode_segment_header(&bytes).map_err(|error| match error {
        RecordError::Newer { version, .. } => newer(path, version),
        other => damaged(path, 0, other.to_string()),
    })?;
    if found != number {
        return Err(damaged(path, 0, format!("it says that it is segment {found}")));
    }
    if !content.segments.is_empty() && first_sequence != content.next_sequence {
        return Err(damaged(
            path,
            0,
            format!("frames {} to {first_sequence} are missing", content.next_sequence),
        ));
    }
    content.next_sequence = first_sequence;
    let mode = if is_last { OpenMode::ReadWrite } else { OpenMode::Read };
    let file = Arc::new(disk.open(path, mode).map_err(|source| io_error("open", path, source))?);
    let mut segment = Segment {
        number,
        path: path.to_owned(),
        file,
        last_index: None,
        end: SEGMENT_HEADER_SIZE as u64,
        allocated: bytes.len() as u64,
    };
    read_frames(&bytes, &mut segment, is_last, content)?;
    if is_last {
        settle_tail(&bytes, &mut segment)?;
    }
    content.segments.push_back(segment);
    Ok(())
}

fn read_frames<F: DiskFile>(
    bytes: &[u8],
    segment: &mut Segment<F>,
    is_last: bool,
    content: &mut Content<F>,
) -> Result<(), OpenError> {
    loop {
        let position = segment.end;
        let rest = bytes.get(position as usize..).unwrap_or_default();
        let reason = match decode_frame(rest) {
            Ok(framed) => {
                take_frame(framed, segment, content)?;
                continue;
            }
            Err(NoFrame::Newer(version)) => return Err(newer(&segment.path, version)),
            Err(NoFrame::End) => "a frame is missing".to_owned(),
            Err(NoFrame::Broken(reason)) => reason,
        };
        // A sealed segment was synced whole: the start of the next one tells whether its end is its end.
        if is_last && let Some(witness) = find_witness(rest, content.next_sequence) {
            let later = position + witness as u64;
            let reason = format!("{reason}, yet the frame at byte {later} says that it had been synced");
            return Err(damaged(&segment.path, position, reason));
        }
        return Ok(());
    }
}

fn take_frame<F>(
    framed: Framed,
    segment: &mut Segment<F>,
    content: &mut Content<F>,
) -> Result<(), OpenError> {
    let position = segment.end;
    if framed.sequence != content.next_sequence {
        let reason = format!("frame {} comes where {} should", framed.sequence, content.next_sequence);
        return Err(damaged(&segment.path, position, reason));
    }
    let file = segment.file.clone();
    let slot = || Slot::on_disk(&framed, file, position);
    content.replay(&framed.frame, slot).map_err(|reason| damaged(&segment.path, position, reason))?;
    if let Frame::Entry(entry) = &framed.frame {
        segment.last_index = segment.last_index.max(Some(entry.log_id.index));
    }
    content.next_sequence += 1;
    segment.end += framed.size as u64;
    Ok(())
}

/// Cuts what follows the last frame, unless it is only room. Then syncs: what a killed process had written and not
/// synced is read above, and is about to be called durable.
fn settle_tail<F: DiskFile>(bytes: &[u8], segment: &mut Segment<F>) -> Result<(), OpenError> {
    let torn = bytes.get(segment.end as usize..).unwrap_or_default().iter().any(|byte| *byte != 0);
    let settled = if torn {
        tracing::warn!(
            file = %segment.path.display(),
            position = segment.end,
            bytes = bytes.len() as u64 - segment.end,
            "cutting the torn tail of the metadata log"
        );
        segment.allocated = segment.end;
        segment.file.set_len(segment.end).and_then(|()| segment.file.sync())
    } else {
        segment.file.sync()
    };
    settled.map_err(|source| io_error("sync", &segment.path, source))
}

pub(super) fn damaged(path: &Path, position: u64, reason: impl Into<String>) -> OpenError {
    OpenError::Damaged { path: path.to_owned(), position, reason: reason.into() }
}

fn newer(path: &Path, version: u8) -> OpenError {
    OpenError::Newer { path: path.to_owned(), found: u64::from(version), supported: u64::from(VERSION) }
}
