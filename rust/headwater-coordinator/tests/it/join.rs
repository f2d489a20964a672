//! JoinGroup: new members, member ids, protocols, limits, and the time a rebalance takes.

use headwater_coordinator::groups::*;

use crate::driver::{Driver, join_request, rejoin, subscription};

#[test]
fn a_new_member_is_told_its_id_and_then_joins() {
    let mut driver = Driver::new();
    let token = driver.join(join_request(7));
    let reply = driver.joined(token);
    assert_eq!(reply.error, Some(GroupError::MemberIdRequired));
    assert_eq!(&*reply.member_id, "c-00000000-0000-4000-8000-000000000007");
    assert_eq!(driver.state(), GroupState::Empty);
    assert_eq!(driver.log.len(), 1, "the new group is written");

    let token = driver.join(rejoin(&reply.member_id));
    assert_eq!(driver.state(), GroupState::PreparingRebalance);
    driver.advance(2_999);
    assert!(driver.is_waiting(token));
    driver.advance(1);
    let joined = driver.joined(token);
    assert_eq!((joined.error, joined.generation_id), (None, 1));
    assert_eq!(joined.leader, reply.member_id);
    assert_eq!(joined.protocol_name.as_deref(), Some("range"));
    assert_eq!(joined.protocol_type.as_deref(), Some("consumer"));
    assert_eq!(joined.members.len(), 1);
    assert_eq!(driver.state(), GroupState::CompletingRebalance);
}

#[test]
fn an_old_client_joins_without_an_id() {
    let mut driver = Driver::new();
    let token = driver.join(JoinRequest { requires_known_member_id: false, ..join_request(1) });
    driver.advance(3_000);
    assert_eq!(driver.joined(token).generation_id, 1);
}

#[test]
fn bad_requests_are_refused_and_leave_no_group() {
    let mut driver = Driver::new();
    let cases = [
        (JoinRequest { group_id: "".into(), ..join_request(1) }, GroupError::InvalidGroupId),
        (JoinRequest { session_timeout_ms: 5_999, ..join_request(1) }, GroupError::InvalidSessionTimeout),
        (JoinRequest { session_timeout_ms: 1_800_001, ..join_request(1) }, GroupError::InvalidSessionTimeout),
        (rejoin("nobody"), GroupError::UnknownMemberId),
        (JoinRequest { protocols: vec![], ..join_request(1) }, GroupError::InconsistentGroupProtocol),
        (JoinRequest { protocol_type: "".into(), ..join_request(1) }, GroupError::InconsistentGroupProtocol),
    ];
    for (request, error) in cases {
        let token = driver.join(request);
        assert_eq!(driver.joined(token).error, Some(error));
    }
    assert_eq!(driver.describe().error, Some(GroupError::GroupIdNotFound));
    assert!(driver.log.is_empty());
}

#[test]
fn the_initial_delay_grows_with_newcomers_up_to_the_rebalance_timeout() {
    let mut driver = Driver::new();
    let old =
        |id| JoinRequest { requires_known_member_id: false, rebalance_timeout_ms: 7_000, ..join_request(id) };
    let first = driver.join(old(1));
    for id in 2..6 {
        driver.advance(1_900);
        driver.join(old(id));
    }
    // 3 s, 3 s more for newcomers, and the last second of the seven.
    driver.advance(7_000 - 4 * 1_900 - 1 + 600);
    assert!(!driver.is_waiting(first) || driver.now < 1_007_000);
    driver.advance(10_000);
    assert_eq!(driver.joined(first).generation_id, 1);
}

#[test]
fn the_leader_gets_the_members_and_nobody_else_does() {
    let mut driver = Driver::new();
    let tokens: Vec<_> = (0..3)
        .map(|id| driver.join(JoinRequest { requires_known_member_id: false, ..join_request(id) }))
        .collect();
    driver.advance(6_000);
    let replies: Vec<_> = tokens.into_iter().map(|token| driver.joined(token)).collect();
    for reply in &replies {
        let expected = if reply.member_id == reply.leader { 3 } else { 0 };
        assert_eq!(reply.members.len(), expected);
        assert_eq!(reply.leader, replies[0].member_id, "the first to join leads");
    }
}

#[test]
fn the_protocol_known_to_all_with_most_votes_wins() {
    let mut driver = Driver::new();
    let with = |id, names: &[&str]| JoinRequest {
        requires_known_member_id: false,
        protocols: names.iter().map(|name| (Name::from(*name), subscription(&["t"]))).collect(),
        ..join_request(id)
    };
    let a = driver.join(with(1, &["range", "roundrobin", "sticky"]));
    driver.join(with(2, &["roundrobin", "sticky"]));
    driver.join(with(3, &["sticky", "roundrobin"]));
    let stranger = driver.join(with(4, &["other", "range"]));
    assert_eq!(driver.joined(stranger).error, Some(GroupError::InconsistentGroupProtocol));
    let connect = driver.join(JoinRequest { protocol_type: "connect".into(), ..with(5, &["sticky"]) });
    assert_eq!(driver.joined(connect).error, Some(GroupError::InconsistentGroupProtocol));
    driver.advance(10_000);
    assert_eq!(driver.joined(a).protocol_name.as_deref(), Some("roundrobin"));
}

#[test]
fn a_newcomer_sends_the_others_back_to_join() {
    let mut driver = Driver::new();
    let ids = driver.stable_group(2);
    let newcomer = driver.join(JoinRequest { requires_known_member_id: false, ..join_request(50) });
    assert_eq!(driver.state(), GroupState::PreparingRebalance);
    assert_eq!(driver.heartbeat(&ids[0], 1), Err(GroupError::RebalanceInProgress));
    let leader = driver.join(rejoin(&ids[0]));
    assert!(driver.is_waiting(newcomer));
    let follower = driver.join(rejoin(&ids[1]));
    assert_eq!(driver.joined(follower).generation_id, 2);
    assert_eq!(driver.joined(leader).members.len(), 3);
    assert_eq!(driver.joined(newcomer).generation_id, 2);
}

#[test]
fn who_does_not_come_back_in_time_is_out() {
    let mut driver = Driver::new();
    let ids = driver.stable_group(2);
    let newcomer = driver.join(JoinRequest { requires_known_member_id: false, ..join_request(50) });
    let follower = driver.join(rejoin(&ids[1]));
    for _ in 0..11 {
        // The old leader lives, but does not join.
        driver.advance(5_000);
        assert_eq!(driver.heartbeat(&ids[0], 1), Err(GroupError::RebalanceInProgress));
    }
    driver.advance(5_000);
    let replies = [driver.joined(newcomer), driver.joined(follower)];
    assert!(replies.iter().all(|reply| reply.generation_id == 2 && reply.leader != ids[0]));
    assert_eq!(replies.iter().map(|reply| reply.members.len()).sum::<usize>(), 2);
    assert_eq!(driver.heartbeat(&ids[0], 1), Err(GroupError::UnknownMemberId));
}

#[test]
fn only_changes_and_the_leader_cause_a_rebalance() {
    let mut driver = Driver::new();
    let ids = driver.stable_group(2);
    let follower = driver.join(rejoin(&ids[1]));
    let reply = driver.joined(follower);
    assert_eq!((reply.generation_id, reply.members.len()), (1, 0));
    assert_eq!(driver.state(), GroupState::Stable);

    let changed = JoinRequest { protocols: vec![("range".into(), subscription(&["u"]))], ..rejoin(&ids[1]) };
    driver.join(changed.clone());
    assert_eq!(driver.state(), GroupState::PreparingRebalance);
    driver.join(rejoin(&ids[0]));
    assert_eq!(driver.state(), GroupState::CompletingRebalance);

    let leader = driver.join(rejoin(&ids[0]));
    assert_eq!(driver.joined(leader).members.len(), 2, "the lost answer is given again");
    assert_eq!(driver.state(), GroupState::CompletingRebalance);
    driver.finish_sync(&ids, 2);
    driver.join(rejoin(&ids[0]));
    assert_eq!(driver.state(), GroupState::PreparingRebalance, "the leader may always ask");
}

#[test]
fn a_full_group_takes_nobody() {
    let mut driver = Driver::with(GroupConfig { size_max: 2, ..GroupConfig::default() });
    let ids = driver.stable_group(2);
    let newcomer = driver.join(join_request(50));
    let reply = driver.joined(newcomer);
    assert_eq!((reply.error, &*reply.member_id), (Some(GroupError::GroupMaxSizeReached), ""));
    assert_eq!(driver.state(), GroupState::Stable);
    driver.join(rejoin(&ids[0]));
    driver.join(rejoin(&ids[1]));
    assert_eq!(driver.state(), GroupState::CompletingRebalance, "members may come back");
}

#[test]
fn a_promised_id_expires_with_its_session() {
    let mut driver = Driver::new();
    let token = driver.join(join_request(1));
    let id = driver.joined(token).member_id;
    driver.advance(10_000);
    let late = driver.join(rejoin(&id));
    assert_eq!(driver.joined(late).error, Some(GroupError::UnknownMemberId));
}

#[test]
fn a_rebalance_waits_for_promised_ids() {
    let mut driver = Driver::new();
    let ids = driver.stable_group(1);
    let token = driver.join(join_request(50));
    let promised = driver.joined(token).member_id;
    let leader = driver.join(rejoin(&ids[0]));
    assert!(driver.is_waiting(leader));
    driver.join(rejoin(&promised));
    assert_eq!(driver.joined(leader).members.len(), 2);
}

#[test]
fn a_newcomer_that_waits_too_long_is_forgotten() {
    let mut driver = Driver::new();
    let ids = driver.stable_group(1);
    driver.join(JoinRequest { rebalance_timeout_ms: 900_000, ..rejoin(&ids[0]) });
    driver.finish_sync(&ids, 2);
    let newcomer = driver.join(JoinRequest { requires_known_member_id: false, ..join_request(50) });
    for _ in 0..60 {
        driver.advance(5_000);
        assert!(driver.heartbeat(&ids[0], 2).is_err());
    }
    let reply = driver.joined(newcomer);
    assert_eq!((reply.error, &*reply.member_id), (Some(GroupError::UnknownMemberId), ""));
}

#[test]
fn a_join_sent_again_answers_the_first_one() {
    let mut driver = Driver::new();
    let ids = driver.stable_group(2);
    let first = driver.join(rejoin(&ids[0]));
    let second = driver.join(rejoin(&ids[0]));
    assert_eq!(driver.joined(first).error, Some(GroupError::RebalanceInProgress));
    driver.join(rejoin(&ids[1]));
    assert_eq!(driver.joined(second).generation_id, 2);
}
