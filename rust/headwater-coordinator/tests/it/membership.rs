//! Heartbeat, sessions and LeaveGroup.

use headwater_coordinator::Shard;
use headwater_coordinator::groups::*;

use crate::driver::{Driver, commit_request, join_request, rejoin};

fn leave(driver: &mut Driver, members: &[(&str, Option<&str>)]) -> Vec<Option<GroupError>> {
    let members = members
        .iter()
        .map(|(id, instance)| LeavingMember {
            member_id: Name::from(*id),
            group_instance_id: instance.map(Name::from),
        })
        .collect();
    match driver.ask(GroupRequest::Leave(LeaveRequest { group_id: "g".into(), members })) {
        GroupReply::Leave(Ok(left)) => left.into_iter().map(|member| member.error).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn heartbeats_are_checked() {
    let mut driver = Driver::new();
    assert_eq!(driver.heartbeat("a", 1), Err(GroupError::UnknownMemberId));
    let ids = driver.stable_group(1);
    assert_eq!(driver.heartbeat(&ids[0], 1), Ok(()));
    assert_eq!(driver.heartbeat(&ids[0], 0), Err(GroupError::IllegalGeneration));
    assert_eq!(driver.heartbeat("other", 1), Err(GroupError::UnknownMemberId));
    let fenced = HeartbeatRequest {
        group_id: "".into(),
        member_id: ids[0].clone(),
        group_instance_id: None,
        generation_id: 1,
    };
    assert_eq!(
        driver.ask(GroupRequest::Heartbeat(fenced)),
        GroupReply::Heartbeat(Err(GroupError::InvalidGroupId))
    );
}

#[test]
fn a_session_lives_on_heartbeats_and_commits_and_ends_without() {
    let mut driver = Driver::new();
    let ids = driver.stable_group(1);
    driver.advance(9_999);
    assert_eq!(driver.heartbeat(&ids[0], 1), Ok(()));
    driver.advance(9_999);
    driver.commit_offset(commit_request(&ids[0], 1, 3)).expect("a commit");
    driver.advance(9_999);
    assert_eq!(driver.state(), GroupState::Stable);
    driver.advance(1);
    assert_eq!(driver.state(), GroupState::Empty);
    assert_eq!(driver.heartbeat(&ids[0], 1), Err(GroupError::UnknownMemberId));
}

#[test]
fn a_clock_that_is_set_forward_ends_no_session() {
    let mut driver = Driver::new();
    let ids = driver.stable_group(1);
    driver.now += 3_600_000;
    driver.shard.clock_moved(3_600_000);
    driver.advance(9_999);
    assert_eq!(driver.heartbeat(&ids[0], 1), Ok(()));
}

#[test]
fn who_waits_in_a_join_needs_no_heartbeat() {
    let mut driver = Driver::new();
    let ids = driver.stable_group(2);
    let token = driver.join(rejoin(&ids[0]));
    for _ in 0..4 {
        driver.advance(9_000);
        assert!(driver.heartbeat(&ids[1], 1).is_err());
    }
    assert!(driver.is_waiting(token));
    driver.join(rejoin(&ids[1]));
    assert_eq!(driver.joined(token).members.len(), 2);
}

#[test]
fn leaving_starts_a_rebalance_and_the_last_one_leaves_an_empty_group() {
    let mut driver = Driver::new();
    let ids = driver.stable_group(2);
    assert_eq!(leave(&mut driver, &[(&ids[0], None)]), [None]);
    assert_eq!(driver.state(), GroupState::PreparingRebalance);
    let token = driver.join(rejoin(&ids[1]));
    assert_eq!(driver.joined(token).leader, ids[1]);
    assert_eq!(
        leave(&mut driver, &[(&ids[1], None), ("x", None)]),
        [None, Some(GroupError::UnknownMemberId)]
    );
    let group = driver.describe();
    assert_eq!((group.state, &*group.protocol_type), (GroupState::Empty, "consumer"));
}

#[test]
fn leaving_answers_a_waiting_join() {
    let mut driver = Driver::new();
    let token = driver.join(JoinRequest { requires_known_member_id: false, ..join_request(1) });
    let id = driver.describe().members[0].member_id.clone();
    assert_eq!(leave(&mut driver, &[(&id, None)]), [None]);
    assert_eq!(driver.joined(token).error, Some(GroupError::UnknownMemberId));
    driver.advance(3_000);
    assert_eq!(driver.state(), GroupState::Empty);
}

#[test]
fn a_promised_id_can_leave() {
    let mut driver = Driver::new();
    let token = driver.join(join_request(1));
    let id = driver.joined(token).member_id;
    assert_eq!(leave(&mut driver, &[(&id, None)]), [None]);
    let late = driver.join(rejoin(&id));
    assert_eq!(driver.joined(late).error, Some(GroupError::UnknownMemberId));
}

#[test]
fn static_members_leave_by_instance_id() {
    let mut driver = Driver::new();
    let token = driver.join(JoinRequest { group_instance_id: Some("i".into()), ..join_request(1) });
    driver.advance(3_000);
    let id = driver.joined(token).member_id;
    assert_eq!(
        leave(
            &mut driver,
            &[("other", Some("i")), (&id, Some("j")), ("", Some("j")), ("", None), ("", Some("i"))]
        ),
        [
            Some(GroupError::FencedInstanceId),
            Some(GroupError::UnknownMemberId),
            Some(GroupError::UnknownMemberId),
            Some(GroupError::UnknownMemberId),
            None
        ]
    );
    assert_eq!(driver.state(), GroupState::Empty);
}

#[test]
fn leaving_an_unknown_group_is_answered_per_member() {
    let mut driver = Driver::new();
    assert_eq!(leave(&mut driver, &[("a", None), ("b", None)]), [Some(GroupError::UnknownMemberId); 2]);
}
