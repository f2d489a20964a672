//! What a power cut leaves: by the seed, any part of what was not synced, in any order, torn anywhere.
//!
//! | not synced | afterwards |
//! |---|---|
//! | a write | gone, whole, a prefix, some of its 512-byte sectors, or only the length it gave the file, with zeros |
//! | several writes | each on its own, so a later one may be there without an earlier one: zeros between |
//! | a cut | kept, or gone together with all later changes of that file (lengths are journalled in order) |
//! | a name change | kept or gone, each on its own; a rename as a whole, and only after earlier ones of that file |

use std::collections::BTreeSet;

use rand::Rng;
use rand::rngs::SmallRng;

use super::world::{Change, NameChange, Node, NodeId, ROOT, World, overlay};

/// What disks write as a whole.
const SECTOR_BYTES: usize = 512;

/// How a crash treats one set of changes. The extremes would hardly ever come up if each change were drawn alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mercy {
    Nothing,
    Everything,
    Drawn,
}

impl Mercy {
    fn draw(random: &mut SmallRng) -> Self {
        match random.random_range(0..5) {
            0 => Self::Nothing,
            1 => Self::Everything,
            _ => Self::Drawn,
        }
    }

    fn keeps(self, random: &mut SmallRng) -> bool {
        match self {
            Self::Nothing => false,
            Self::Everything => true,
            Self::Drawn => random.random(),
        }
    }
}

impl World {
    /// Turns the world into what is found when the power comes back.
    pub(super) fn crash(&mut self) {
        self.generation += 1;
        self.powered = true;
        self.locked.clear();
        self.faults.clear();
        self.crash_after = None;

        let mercy = Mercy::draw(&mut self.random);
        let kept: Vec<bool> = self.name_changes.iter().map(|_| mercy.keeps(&mut self.random)).collect();
        self.commit_names(&kept);
        self.name_changes.clear();
        for node in self.nodes.values_mut() {
            match node {
                Node::File(file) => {
                    settle_content(&mut file.durable, &file.unsynced, &mut self.random);
                    file.unsynced.clear();
                    file.content.clone_from(&file.durable);
                }
                Node::Dir(dir) => dir.names.clone_from(&dir.durable),
            }
        }
        self.forget_unreachable();
    }

    /// Makes the chosen name changes durable, with earlier ones of the same nodes where they need them, and takes
    /// them off the list.
    pub(super) fn commit_names(&mut self, chosen: &[bool]) {
        let mut chosen = chosen.to_vec();
        // A node that moves away or disappears cannot stay behind under a name it had before.
        let mut moved = BTreeSet::new();
        for (index, change) in self.name_changes.iter().enumerate().rev() {
            let is_link = matches!(change, NameChange::Link { .. });
            chosen[index] |= moved.contains(&change.node());
            if chosen[index] && !is_link {
                moved.insert(change.node());
            }
        }
        let mut index = 0;
        let mut committed = Vec::new();
        self.name_changes.retain(|change| {
            let commit = chosen[index];
            index += 1;
            if commit {
                committed.push(change.clone());
            }
            !commit
        });
        committed.iter().for_each(|change| self.commit_name(change));
    }

    fn commit_name(&mut self, change: &NameChange) {
        let (gone, come) = match change {
            NameChange::Link { name, .. } => (None, Some(name)),
            NameChange::Unlink { name, .. } => (Some(name), None),
            NameChange::Rename { from, to, .. } => (Some(from), Some(to)),
        };
        let node = change.node();
        if let Some(name) = gone
            && let Some(Node::Dir(dir)) = self.nodes.get_mut(&name.dir)
            && dir.durable.get(&name.name) == Some(&node)
        {
            dir.durable.remove(&name.name);
        }
        if let Some(name) = come
            && let Some(Node::Dir(dir)) = self.nodes.get_mut(&name.dir)
        {
            dir.durable.insert(name.name.clone(), node);
        }
    }

    fn forget_unreachable(&mut self) {
        let mut reachable: BTreeSet<NodeId> = BTreeSet::from([ROOT]);
        let mut dirs = vec![ROOT];
        while let Some(id) = dirs.pop() {
            for &node in self.dir(id).map(|dir| dir.names.values()).into_iter().flatten() {
                if reachable.insert(node) && self.is_dir(node) {
                    dirs.push(node);
                }
            }
        }
        self.nodes.retain(|id, _| reachable.contains(id));
    }
}

/// Writes back any part of `changes`. Also what a failed sync does, before it forgets the rest.
pub(super) fn settle_content(durable: &mut Vec<u8>, changes: &[Change], random: &mut SmallRng) {
    let mercy = Mercy::draw(random);
    for change in changes {
        match change {
            Change::SetLength { before, after } => {
                if mercy.keeps(random) {
                    change.apply(durable);
                } else if after < before {
                    return;
                }
            }
            Change::Write { position, bytes } => match mercy {
                Mercy::Nothing => {}
                Mercy::Everything => change.apply(durable),
                Mercy::Drawn => tear(durable, *position, bytes, random),
            },
        }
    }
}

/// Writes any part of one write.
fn tear(durable: &mut Vec<u8>, position: usize, bytes: &[u8], random: &mut SmallRng) {
    match random.random_range(0..5) {
        0 => return,
        1 => overlay(durable, position, bytes),
        2 => overlay(durable, position, &bytes[..random.random_range(0..=bytes.len())]),
        3 => {
            for (start, end) in sectors(position, bytes.len()) {
                if random.random() {
                    overlay(durable, start, &bytes[start - position..end - position]);
                }
            }
        }
        _ => {}
    }
    let end = position + bytes.len();
    if durable.len() < end && random.random() {
        durable.resize(end, 0);
    }
}

/// The range cut at sector borders.
fn sectors(position: usize, length: usize) -> impl Iterator<Item = (usize, usize)> {
    let end = position + length;
    let first = position / SECTOR_BYTES;
    (first..end.div_ceil(SECTOR_BYTES))
        .map(move |sector| (position.max(sector * SECTOR_BYTES), end.min((sector + 1) * SECTOR_BYTES)))
}
