//! The state of a simulated disk: what programs see, what is durable, and the changes that lie between.
//!
//! ```text
//! file:       durable + unsynced changes (some may be lost for good) ≈ content
//! directory:  durable names            + unsynced name changes       ≈ names
//! ```
//!
//! Name changes are kept in one list for the whole disk, since a rename concerns two directories. A rename becomes
//! durable by syncing the directory it leads *into*; the other alone does not help.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Component, Path};

use rand::Rng;
use rand::rngs::SmallRng;

use super::crash::settle_content;
use super::faults::{Counters, Fault, Operation, error_of, strike};

/// The largest file that can be simulated; a write beyond is EFBIG rather than a huge allocation.
const FILE_BYTES_MAX: u64 = 1 << 32;

pub(super) type NodeId = u64;

/// The root directory, which always exists.
pub(super) const ROOT: NodeId = 0;

#[derive(Debug, Clone)]
pub(super) struct World {
    /// Rises with each crash; handles of an earlier one are dead.
    pub(super) generation: u64,
    pub(super) powered: bool,
    pub(super) random: SmallRng,
    pub(super) nodes: BTreeMap<NodeId, Node>,
    next_node: NodeId,
    /// In the order they were made.
    pub(super) name_changes: Vec<NameChange>,
    pub(super) locked: BTreeSet<NodeId>,
    pub(super) faults: Vec<Fault>,
    pub(super) counters: Counters,
    /// Bytes that files may hold altogether.
    pub(super) capacity: Option<u64>,
    /// Mutating calls until the power goes, the last one counted.
    pub(super) crash_after: Option<u64>,
}

#[derive(Debug, Clone)]
pub(super) enum Node {
    File(FileNode),
    Dir(DirNode),
}

#[derive(Debug, Clone, Default)]
pub(super) struct FileNode {
    pub(super) durable: Vec<u8>,
    pub(super) content: Vec<u8>,
    pub(super) unsynced: Vec<Change>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct DirNode {
    pub(super) durable: BTreeMap<String, NodeId>,
    pub(super) names: BTreeMap<String, NodeId>,
}

/// One change of a file's content.
#[derive(Debug, Clone)]
pub(super) enum Change {
    Write { position: usize, bytes: Vec<u8> },
    SetLength { before: usize, after: usize },
}

/// A name in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) dir: NodeId,
    pub(super) name: String,
}

/// One change of names.
#[derive(Debug, Clone)]
pub(super) enum NameChange {
    Link { name: Name, node: NodeId },
    Unlink { name: Name, node: NodeId },
    Rename { from: Name, to: Name, node: NodeId },
}

impl NameChange {
    pub(super) fn node(&self) -> NodeId {
        match self {
            Self::Link { node, .. } | Self::Unlink { node, .. } | Self::Rename { node, .. } => *node,
        }
    }

    /// The directory whose sync makes it durable.
    pub(super) fn dir(&self) -> NodeId {
        match self {
            Self::Link { name, .. } | Self::Unlink { name, .. } | Self::Rename { to: name, .. } => name.dir,
        }
    }
}

pub(super) fn power_lost() -> io::Error {
    io::Error::other("the simulated machine has lost power")
}

impl World {
    pub(super) fn new(random: SmallRng) -> Self {
        Self {
            generation: 0,
            powered: true,
            random,
            nodes: BTreeMap::from([(ROOT, Node::Dir(DirNode::default()))]),
            next_node: ROOT + 1,
            name_changes: Vec::new(),
            locked: BTreeSet::new(),
            faults: Vec::new(),
            counters: Counters::default(),
            capacity: None,
            crash_after: None,
        }
    }

    /// Begins a call that has no effect when a fault hits it.
    fn begin(&mut self, operation: Operation, paths: &[&Path]) -> io::Result<()> {
        self.begin_faulty(operation, paths)?.map_or(Ok(()), Err)
    }

    /// Begins a call; a fault that hits it is returned as a value, for calls that then do half of their work. A
    /// power cut at this very call is an error, or shows in `finish` after the call has had its effect.
    fn begin_faulty(&mut self, operation: Operation, paths: &[&Path]) -> io::Result<Option<io::Error>> {
        self.counters.count(operation);
        if operation.is_mutation()
            && let Some(left) = &mut self.crash_after
        {
            *left -= 1;
            if *left == 0 {
                self.crash_after = None;
                self.powered = false;
                if self.random.random() {
                    return Err(power_lost());
                }
            }
        }
        Ok(strike(&mut self.faults, operation, paths))
    }

    fn finish<T>(&self, value: T) -> io::Result<T> {
        if self.powered { Ok(value) } else { Err(power_lost()) }
    }

    fn insert(&mut self, node: Node, name: Name) -> NodeId {
        let id = self.next_node;
        self.next_node += 1;
        self.nodes.insert(id, node);
        if let Some(Node::Dir(dir)) = self.nodes.get_mut(&name.dir) {
            dir.names.insert(name.name.clone(), id);
        }
        self.name_changes.push(NameChange::Link { name, node: id });
        id
    }

    pub(super) fn dir(&self, id: NodeId) -> io::Result<&DirNode> {
        match self.nodes.get(&id) {
            Some(Node::Dir(dir)) => Ok(dir),
            Some(Node::File(_)) => Err(error_of(io::ErrorKind::NotADirectory)),
            None => Err(error_of(io::ErrorKind::NotFound)),
        }
    }

    fn names(&mut self, id: NodeId) -> io::Result<&mut BTreeMap<String, NodeId>> {
        match self.nodes.get_mut(&id) {
            Some(Node::Dir(dir)) => Ok(&mut dir.names),
            Some(Node::File(_)) => Err(error_of(io::ErrorKind::NotADirectory)),
            None => Err(error_of(io::ErrorKind::NotFound)),
        }
    }

    fn file(&self, id: NodeId) -> io::Result<&FileNode> {
        match self.nodes.get(&id) {
            Some(Node::File(file)) => Ok(file),
            Some(Node::Dir(_)) => Err(error_of(io::ErrorKind::IsADirectory)),
            None => Err(error_of(io::ErrorKind::NotFound)),
        }
    }

    fn file_mut(&mut self, id: NodeId) -> io::Result<&mut FileNode> {
        match self.nodes.get_mut(&id) {
            Some(Node::File(file)) => Ok(file),
            Some(Node::Dir(_)) => Err(error_of(io::ErrorKind::IsADirectory)),
            None => Err(error_of(io::ErrorKind::NotFound)),
        }
    }

    pub(super) fn is_dir(&self, id: NodeId) -> bool {
        matches!(self.nodes.get(&id), Some(Node::Dir(_)))
    }

    /// The node of a path; `NotFound`, or `NotADirectory` if the path leads through a file.
    pub(super) fn resolve(&self, path: &Path) -> io::Result<NodeId> {
        components(path).iter().try_fold(ROOT, |node, name| {
            self.dir(node)?.names.get(name).copied().ok_or_else(|| error_of(io::ErrorKind::NotFound))
        })
    }

    /// The directory of a path and the name in it; the directory must exist, the name need not.
    fn locate(&self, path: &Path) -> io::Result<Name> {
        let mut names = components(path);
        let name = names.pop().ok_or_else(|| error_of(io::ErrorKind::InvalidInput))?;
        let dir = names.iter().try_fold(ROOT, |node, name| {
            self.dir(node)?.names.get(name).copied().ok_or_else(|| error_of(io::ErrorKind::NotFound))
        })?;
        self.dir(dir)?;
        Ok(Name { dir, name })
    }

    pub(super) fn open_existing(&mut self, path: &Path, node: NodeId) -> io::Result<()> {
        self.begin(Operation::Open, &[path])?;
        self.file(node)?;
        Ok(())
    }

    pub(super) fn create_file(&mut self, path: &Path) -> io::Result<NodeId> {
        let name = self.locate(path)?;
        self.begin(Operation::Create, &[path])?;
        let node = self.insert(Node::File(FileNode::default()), name);
        self.finish(node)
    }

    pub(super) fn length(&self, node: NodeId) -> io::Result<u64> {
        Ok(self.file(node)?.content.len() as u64)
    }

    pub(super) fn read(
        &mut self,
        path: &Path,
        node: NodeId,
        buffer: &mut [u8],
        position: u64,
    ) -> io::Result<usize> {
        self.begin(Operation::Read, &[path])?;
        let content = &self.file(node)?.content;
        let rest = usize::try_from(position).ok().and_then(|start| content.get(start..)).unwrap_or(&[]);
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.counters.read_bytes += count as u64;
        Ok(count)
    }

    pub(super) fn read_whole(&mut self, path: &Path, node: NodeId) -> io::Result<Vec<u8>> {
        self.begin(Operation::Read, &[path])?;
        let content = self.file(node)?.content.clone();
        self.counters.read_bytes += content.len() as u64;
        Ok(content)
    }

    pub(super) fn write(
        &mut self,
        path: &Path,
        node: NodeId,
        buffer: &[u8],
        position: u64,
    ) -> io::Result<()> {
        if position.checked_add(buffer.len() as u64).is_none_or(|end| end > FILE_BYTES_MAX) {
            return Err(io::Error::from_raw_os_error(libc::EFBIG));
        }
        if let Some(fault) = self.begin_faulty(Operation::Write, &[path])? {
            let part = self.random.random_range(0..=buffer.len());
            self.write_content(node, &buffer[..part], position as usize)?;
            return Err(fault);
        }
        let fitting = self.fitting(node, buffer.len(), position as usize)?;
        self.write_content(node, &buffer[..fitting], position as usize)?;
        if fitting < buffer.len() {
            return Err(error_of(io::ErrorKind::StorageFull));
        }
        self.finish(())
    }

    /// How many of `count` bytes find room at `position`. Overwriting needs none; a gap before `position` counts.
    fn fitting(&self, node: NodeId, count: usize, position: usize) -> io::Result<usize> {
        let length = self.file(node)?.content.len();
        let Some(capacity) = self.capacity else { return Ok(count) };
        let room = usize::try_from(capacity.saturating_sub(self.used())).unwrap_or(usize::MAX);
        Ok(count.min(length.saturating_add(room).saturating_sub(position)))
    }

    /// Bytes of all files that have a name, gaps included.
    fn used(&self) -> u64 {
        let mut used = 0;
        let mut dirs = vec![ROOT];
        while let Some(id) = dirs.pop() {
            for node in self.dir(id).map(|dir| dir.names.values()).into_iter().flatten() {
                match self.nodes.get(node) {
                    Some(Node::File(file)) => used += file.content.len() as u64,
                    Some(Node::Dir(_)) => dirs.push(*node),
                    None => {}
                }
            }
        }
        used
    }

    fn write_content(&mut self, node: NodeId, bytes: &[u8], position: usize) -> io::Result<()> {
        let file = self.file_mut(node)?;
        if !bytes.is_empty() {
            let change = Change::Write { position, bytes: bytes.to_vec() };
            change.apply(&mut file.content);
            file.unsynced.push(change);
        }
        self.counters.written_bytes += bytes.len() as u64;
        Ok(())
    }

    pub(super) fn set_length(&mut self, path: &Path, node: NodeId, length: u64) -> io::Result<()> {
        if length > FILE_BYTES_MAX {
            return Err(io::Error::from_raw_os_error(libc::EFBIG));
        }
        self.begin(Operation::SetLength, &[path])?;
        let file = self.file_mut(node)?;
        let change = Change::SetLength { before: file.content.len(), after: length as usize };
        change.apply(&mut file.content);
        file.unsynced.push(change);
        self.finish(())
    }

    pub(super) fn sync(&mut self, path: &Path, node: NodeId) -> io::Result<()> {
        let fault = self.begin_faulty(Operation::Sync, &[path])?;
        let mut random = self.random.clone();
        let file = self.file_mut(node)?;
        let changes = std::mem::take(&mut file.unsynced);
        if let Some(fault) = fault {
            settle_content(&mut file.durable, &changes, &mut random);
            self.random = random;
            return Err(fault);
        }
        changes.iter().for_each(|change| change.apply(&mut file.durable));
        self.finish(())
    }

    pub(super) fn create_dir_all(&mut self, path: &Path) -> io::Result<()> {
        let names = components(path);
        let mut dir = ROOT;
        for (depth, name) in names.iter().enumerate() {
            dir = match self.dir(dir)?.names.get(name) {
                Some(&existing) if self.is_dir(existing) => existing,
                Some(_) if depth + 1 == names.len() => return Err(error_of(io::ErrorKind::AlreadyExists)),
                Some(_) => return Err(error_of(io::ErrorKind::NotADirectory)),
                None => {
                    self.begin(Operation::CreateDir, &[path])?;
                    let name = Name { dir, name: name.clone() };
                    let created = self.insert(Node::Dir(DirNode::default()), name);
                    self.finish(created)?
                }
            };
        }
        Ok(())
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let node = self.resolve(from)?;
        let (source, target) = (self.locate(from)?, self.locate(to)?);
        let (origin, destination) = (components(from), components(to));
        if self.is_dir(node) && destination.len() > origin.len() && destination.starts_with(&origin) {
            return Err(error_of(io::ErrorKind::InvalidInput));
        }
        if let Some(&replaced) = self.dir(target.dir)?.names.get(&target.name) {
            match (self.is_dir(node), self.is_dir(replaced)) {
                (false, true) => return Err(error_of(io::ErrorKind::IsADirectory)),
                (true, false) => return Err(error_of(io::ErrorKind::NotADirectory)),
                (true, true) if replaced != node && !self.dir(replaced)?.names.is_empty() => {
                    return Err(error_of(io::ErrorKind::DirectoryNotEmpty));
                }
                _ => {}
            }
        }
        self.begin(Operation::Rename, &[from, to])?;
        if source != target {
            self.names(source.dir)?.remove(&source.name);
            self.names(target.dir)?.insert(target.name.clone(), node);
            self.name_changes.push(NameChange::Rename { from: source, to: target, node });
        }
        self.finish(())
    }

    pub(super) fn remove_file(&mut self, path: &Path) -> io::Result<()> {
        let node = self.resolve(path)?;
        self.file(node)?;
        let name = self.locate(path)?;
        self.begin(Operation::RemoveFile, &[path])?;
        self.unlink(name, node)
    }

    pub(super) fn remove_dir_all(&mut self, path: &Path) -> io::Result<()> {
        let node = self.resolve(path)?;
        let name = self.locate(path)?;
        let children: Vec<(String, NodeId)> =
            self.dir(node)?.names.iter().map(|(name, node)| (name.clone(), *node)).collect();
        for (child, id) in children {
            let below = path.join(child);
            if self.is_dir(id) { self.remove_dir_all(&below) } else { self.remove_file(&below) }?;
        }
        self.begin(Operation::RemoveDir, &[path])?;
        self.unlink(name, node)
    }

    fn unlink(&mut self, name: Name, node: NodeId) -> io::Result<()> {
        self.names(name.dir)?.remove(&name.name);
        self.name_changes.push(NameChange::Unlink { name, node });
        self.finish(())
    }

    pub(super) fn list(&mut self, path: &Path) -> io::Result<Vec<(String, bool)>> {
        self.begin(Operation::ReadDir, &[path])?;
        let names = &self.dir(self.resolve(path)?)?.names;
        Ok(names.iter().map(|(name, &node)| (name.clone(), self.is_dir(node))).collect())
    }

    pub(super) fn sync_dir(&mut self, path: &Path) -> io::Result<()> {
        let dir = self.resolve(path)?;
        self.dir(dir)?;
        let fault = self.begin_faulty(Operation::SyncDir, &[path])?;
        let concerned: Vec<bool> = self.name_changes.iter().map(|change| change.dir() == dir).collect();
        match fault {
            Some(fault) => {
                // As with a file: what was not written back is forgotten, and no later sync brings it back.
                let written: Vec<bool> = concerned.iter().map(|hit| *hit && self.random.random()).collect();
                self.commit_names(&written);
                self.name_changes.retain(|change| change.dir() != dir);
                Err(fault)
            }
            None => {
                self.commit_names(&concerned);
                self.finish(())
            }
        }
    }
}

impl Change {
    pub(super) fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Self::Write { position, bytes } => overlay(content, *position, bytes),
            Self::SetLength { after, .. } => content.resize(*after, 0),
        }
    }
}

/// Writes `bytes` into `content`, lengthening it with zeros up to `position` if need be.
pub(super) fn overlay(content: &mut Vec<u8>, position: usize, bytes: &[u8]) {
    let end = position + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[position..end].copy_from_slice(bytes);
}

/// The names along a path from the root. Relative paths start at the root too.
fn components(path: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => names.push(name.to_string_lossy().into_owned()),
            Component::ParentDir => {
                names.pop();
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    names
}
