//! SyncGroup: waiting for the leader, checks, and members that never ask.

use bytes::Bytes;
use headwater_coordinator::groups::*;

use crate::driver::{Driver, join_request, rejoin, sync_request};

fn joined_pair(driver: &mut Driver) -> Vec<Name> {
    let ids = driver.stable_group(2);
    driver.join(rejoin(&ids[0]));
    driver.join(rejoin(&ids[1]));
    assert_eq!(driver.state(), GroupState::CompletingRebalance);
    ids
}

#[test]
fn followers_wait_for_the_leader_and_whoever_it_forgot_gets_nothing() {
    let mut driver = Driver::new();
    let ids = joined_pair(&mut driver);
    let follower = driver.sync(&ids[1], 2, &[]);
    assert!(driver.is_waiting(follower));
    let leader = driver.sync(&ids[0], 2, &[(&ids[0], "all of it")]);
    assert_eq!(driver.synced(leader).assignment, Bytes::from("all of it"));
    let reply = driver.synced(follower);
    assert_eq!((reply.error, reply.assignment.len()), (None, 0));
    assert_eq!(reply.protocol_name.as_deref(), Some("range"));
    let again = driver.sync(&ids[0], 2, &[]);
    assert_eq!(driver.synced(again).assignment, Bytes::from("all of it"));
}

#[test]
fn the_assignment_is_handed_out_once_it_is_committed() {
    let mut driver = Driver::new();
    let ids = joined_pair(&mut driver);
    driver.hold = true;
    let leader = driver.sync(&ids[0], 2, &[(&ids[0], "x")]);
    assert!(driver.is_waiting(leader));
    assert_eq!(driver.state(), GroupState::CompletingRebalance);
    driver.commit();
    assert_eq!(driver.synced(leader).error, None);
    assert_eq!(driver.state(), GroupState::Stable);
}

#[test]
fn what_does_not_fit_is_refused() {
    let mut driver = Driver::new();
    let unknown = driver.sync("a", 1, &[]);
    assert_eq!(driver.synced(unknown).error, Some(GroupError::UnknownMemberId));
    let ids = joined_pair(&mut driver);
    let base = sync_request(&ids[1], 2, &[]);
    let cases = [
        (SyncRequest { group_id: "".into(), ..base.clone() }, GroupError::InvalidGroupId),
        (SyncRequest { member_id: "x".into(), ..base.clone() }, GroupError::UnknownMemberId),
        (SyncRequest { generation_id: 1, ..base.clone() }, GroupError::IllegalGeneration),
        (
            SyncRequest { protocol_type: Some("connect".into()), ..base.clone() },
            GroupError::InconsistentGroupProtocol,
        ),
        (
            SyncRequest { protocol_name: Some("sticky".into()), ..base.clone() },
            GroupError::InconsistentGroupProtocol,
        ),
    ];
    for (request, error) in cases {
        let token = driver.send(GroupRequest::Sync(request));
        assert_eq!(driver.synced(token).error, Some(error));
    }
    driver.join(JoinRequest { requires_known_member_id: false, ..join_request(50) });
    let late = driver.sync(&ids[1], 2, &[]);
    assert_eq!(driver.synced(late).error, Some(GroupError::RebalanceInProgress));
}

#[test]
fn a_rebalance_sends_waiting_syncs_back() {
    let mut driver = Driver::new();
    let ids = joined_pair(&mut driver);
    let follower = driver.sync(&ids[1], 2, &[]);
    driver.join(JoinRequest { requires_known_member_id: false, ..join_request(50) });
    assert_eq!(driver.synced(follower).error, Some(GroupError::RebalanceInProgress));
}

#[test]
fn an_assignment_that_commits_after_the_next_rebalance_began_is_ignored() {
    let mut driver = Driver::new();
    let ids = joined_pair(&mut driver);
    driver.hold = true;
    let leader = driver.sync(&ids[0], 2, &[(&ids[0], "old")]);
    driver.join(JoinRequest { requires_known_member_id: false, ..join_request(50) });
    assert_eq!(driver.synced(leader).error, Some(GroupError::RebalanceInProgress));
    driver.commit();
    assert_eq!(driver.state(), GroupState::PreparingRebalance);
}

#[test]
fn members_that_never_sync_are_removed() {
    let mut driver = Driver::new();
    let ids = joined_pair(&mut driver);
    let leader = driver.sync(&ids[0], 2, &[]);
    assert_eq!(driver.synced(leader).error, None);
    for _ in 0..11 {
        driver.advance(5_000);
        assert_eq!(driver.heartbeat(&ids[0], 2), Ok(()));
        assert_eq!(driver.heartbeat(&ids[1], 2), Ok(()), "it lives, but does not ask");
    }
    driver.advance(5_000);
    assert_eq!(driver.state(), GroupState::PreparingRebalance);
    assert_eq!(driver.heartbeat(&ids[1], 2), Err(GroupError::UnknownMemberId));
}

#[test]
fn the_wait_for_a_silent_leader_ends() {
    let mut driver = Driver::new();
    let ids = joined_pair(&mut driver);
    let follower = driver.sync(&ids[1], 2, &[]);
    driver.advance(10_000);
    assert_eq!(
        driver.synced(follower).error,
        Some(GroupError::RebalanceInProgress),
        "the leader's session is over"
    );
    let again = driver.join(rejoin(&ids[1]));
    assert_eq!(driver.joined(again).leader, ids[1]);
}
