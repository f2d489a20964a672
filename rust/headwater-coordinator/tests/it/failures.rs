//! Writes that fail: what is taken back, and who is told.

use headwater_coordinator::Refusal;
use headwater_coordinator::groups::*;

use crate::driver::{Driver, commit_request, join_request, rejoin};

#[test]
fn a_lost_assignment_sends_the_group_back_to_rebalance() {
    let mut driver = Driver::new();
    let ids = driver.stable_group(2);
    driver.join(rejoin(&ids[0]));
    driver.join(rejoin(&ids[1]));
    let follower = driver.sync(&ids[1], 2, &[]);
    driver.refuse = Some(Refusal::NotEnoughReplicas);
    let leader = driver.sync(&ids[0], 2, &[(&ids[0], "x")]);
    for token in [leader, follower] {
        assert_eq!(driver.synced(token).error, Some(GroupError::CoordinatorNotAvailable));
    }
    assert_eq!(driver.state(), GroupState::PreparingRebalance);
    driver.refuse = None;
    let tokens = [driver.join(rejoin(&ids[0])), driver.join(rejoin(&ids[1]))];
    assert_eq!(tokens.map(|token| driver.joined(token).generation_id), [3, 3]);
}

#[test]
fn an_assignment_not_committed_in_time_does_the_same() {
    let mut driver = Driver::new();
    let ids = driver.stable_group(1);
    driver.join(rejoin(&ids[0]));
    driver.hold = true;
    let leader = driver.sync(&ids[0], 2, &[]);
    driver.time_out();
    assert_eq!(driver.synced(leader).error, Some(GroupError::CoordinatorNotAvailable));
    assert_eq!(driver.state(), GroupState::PreparingRebalance);
}

#[test]
fn a_static_member_that_could_not_be_written_is_its_former_self() {
    let mut driver = Driver::new();
    let request = |id| JoinRequest { group_instance_id: Some("i".into()), ..join_request(id) };
    let token = driver.join(request(1));
    driver.advance(3_000);
    let id = driver.joined(token).member_id;
    driver.finish_sync(std::slice::from_ref(&id), 1);
    driver.refuse = Some(Refusal::Storage);
    let token = driver.join(request(2));
    let reply = driver.joined(token);
    assert_eq!((reply.error, &*reply.member_id), (Some(GroupError::NotCoordinator), ""));
    assert_eq!((reply.leader, reply.generation_id), (id.clone(), 1));
    assert_eq!(driver.heartbeat(&id, 1), Ok(()));
    assert_eq!(driver.state(), GroupState::Stable);
    driver.advance(10_000);
    assert_eq!(driver.state(), GroupState::Empty, "and it is still watched");
}

#[test]
fn a_group_that_could_not_be_written_is_forgotten() {
    let mut driver = Driver::new();
    driver.refuse = Some(Refusal::Storage);
    let token = driver.join(join_request(1));
    let id = driver.joined(token).member_id;
    assert_eq!(driver.describe().error, Some(GroupError::GroupIdNotFound));
    let late = driver.join(rejoin(&id));
    assert_eq!(driver.joined(late).error, Some(GroupError::UnknownMemberId));
}

#[test]
fn offsets_that_could_not_be_written_are_taken_back() {
    let mut driver = Driver::new();
    driver.commit_offset(commit_request("", -1, 1)).expect("accepted");
    driver.refuse = Some(Refusal::NotEnoughReplicas);
    let token = driver.send(GroupRequest::CommitOffsets(commit_request("", -1, 2)));
    assert_eq!(driver.outcome(token), Some(Err(Refusal::NotEnoughReplicas)));
    assert_eq!(driver.committed(), 1);
    let other = CommitRequest { group_id: "other".into(), ..commit_request("", -1, 2) };
    driver.send(GroupRequest::CommitOffsets(other));
    let listed = driver.ask(GroupRequest::List(ListRequest::default()));
    assert!(matches!(listed, GroupReply::List(groups) if groups.len() == 1), "no group is left behind");
}

#[test]
fn a_deletion_that_could_not_be_written_brings_everything_back() {
    let mut driver = Driver::new();
    let ids = driver.stable_group(1);
    driver.commit_offset(commit_request(&ids[0], 1, 5)).expect("accepted");
    driver.advance(10_000);
    driver.refuse = Some(Refusal::Storage);
    let token = driver.send(GroupRequest::Delete(vec!["g".into()]));
    assert_eq!(driver.outcome(token), Some(Err(Refusal::Storage)));
    driver.refuse = None;
    assert_eq!(driver.committed(), 5);
    let group = driver.describe();
    assert_eq!((group.state, &*group.protocol_type), (GroupState::Empty, "consumer"));
}

#[test]
fn refusals_become_errors_that_clients_know() {
    assert_eq!(GroupError::from(Refusal::Loading).code().code(), 14);
    assert_eq!(GroupError::from(Refusal::TimedOut).code().code(), 15);
    assert_eq!(GroupError::from(Refusal::Storage).code().code(), 16);
    assert_eq!(GroupError::from(Refusal::TooLarge).code().code(), -1);
}
