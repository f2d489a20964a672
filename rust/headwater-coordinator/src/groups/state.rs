//! The states of a classic group and the transitions between them.
//!
//! ```text
//!               join                        all joined, or time is up
//!   Empty ─────────────▶ PreparingRebalance ────────────────────────▶ CompletingRebalance
//!     ▲                     │     ▲     ▲                                  │        │
//!     └─────────────────────┘     │     └── join, leave, session over ─────┘        │ assignment written
//!       nobody left               │         assignment not written                 ▼
//!                                 └──── join, leave, session over ─────────────  Stable
//!
//!   any ─▶ Dead: deleted or unloaded
//! ```

use std::fmt;

/// The state of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum GroupState {
    /// No members. Offsets may be there.
    Empty,
    /// Waiting for members to join.
    PreparingRebalance,
    /// Everyone has joined; waiting for the leader's assignment.
    CompletingRebalance,
    /// Members have their assignments.
    Stable,
    /// The group is gone.
    Dead,
}

impl GroupState {
    /// All states.
    pub const ALL: [GroupState; 5] = [
        GroupState::Empty,
        GroupState::PreparingRebalance,
        GroupState::CompletingRebalance,
        GroupState::Stable,
        GroupState::Dead,
    ];

    /// Kafka's name.
    pub fn name(self) -> &'static str {
        match self {
            GroupState::Empty => "Empty",
            GroupState::PreparingRebalance => "PreparingRebalance",
            GroupState::CompletingRebalance => "CompletingRebalance",
            GroupState::Stable => "Stable",
            GroupState::Dead => "Dead",
        }
    }

    /// The list of transitions: whether a group may go from `self` to `next`.
    pub fn may_become(self, next: GroupState) -> bool {
        use GroupState::{CompletingRebalance, Dead, Empty, PreparingRebalance, Stable};
        matches!(
            (self, next),
            (Empty | CompletingRebalance | Stable, PreparingRebalance)
                | (PreparingRebalance, CompletingRebalance | Empty)
                | (CompletingRebalance, Stable)
                | (_, Dead)
        )
    }

    /// Whether a rebalance can start from here.
    pub fn can_rebalance(self) -> bool {
        self.may_become(GroupState::PreparingRebalance)
    }
}

impl fmt::Display for GroupState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leaves_dead_and_everything_reaches_it() {
        for state in GroupState::ALL {
            assert!(state.may_become(GroupState::Dead));
            assert!(state == GroupState::Dead || !GroupState::Dead.may_become(state));
        }
        assert!(!GroupState::PreparingRebalance.can_rebalance());
        assert!(!GroupState::Empty.may_become(GroupState::Stable));
    }
}
