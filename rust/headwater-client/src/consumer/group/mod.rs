//! Membership in a group by the classic protocol: join, sync, heartbeat, leave.
//!
//! ```text
//!            ┌── revoke (eager: all) ──▶ join ──▶ [leader: assign] ──▶ sync ──▶ take over ──┐
//!  subscribe ┤                             ▲                                                │
//!            │      rebalance, new topics  │   cooperative: something was revoked           ▼
//!            └─────────────────────────────┴──────────────────────────────────────────── steady: heartbeats
//! ```
//!
//! One task per consumer with a group id. The polling thread learns of changes by events and lets the task go on by its next
//! poll; heartbeats go on meanwhile. Absent: the KIP-848 protocol.

mod member;
mod protocol;

#[cfg(fuzzing)]
pub(crate) use protocol::read_group_bytes;

pub(super) use member::Member;
pub(crate) use protocol::assignment_of;
