//! Static members (KIP-345): coming back without a member id, fencing, skipped assignments.

use headwater_coordinator::groups::*;

use crate::driver::{Driver, join_request, rejoin, subscription, sync_request};

fn static_join(instance: &str, fresh_id: u128) -> JoinRequest {
    JoinRequest { group_instance_id: Some(instance.into()), ..join_request(fresh_id) }
}

/// Two static members `i` and `j`, stable; `i` leads.
fn stable_pair(driver: &mut Driver) -> Vec<Name> {
    let tokens = [driver.join(static_join("i", 1)), driver.join(static_join("j", 2))];
    driver.advance(6_000);
    let replies = tokens.map(|token| driver.joined(token));
    assert!(&*replies[0].member_id > "i-" && replies[0].leader == replies[0].member_id);
    let ids: Vec<Name> = replies.iter().map(|reply| reply.member_id.clone()).collect();
    driver.finish_sync(&ids, 1);
    ids
}

#[test]
fn a_static_member_comes_back_without_a_rebalance() {
    let mut driver = Driver::new();
    let ids = stable_pair(&mut driver);
    let token = driver.join(static_join("j", 9));
    let reply = driver.joined(token);
    assert_eq!((reply.error, reply.generation_id), (None, 1));
    assert_ne!(reply.member_id, ids[1]);
    assert_eq!(reply.leader, ids[0]);
    assert_eq!(driver.state(), GroupState::Stable);

    let sync = driver.sync(&reply.member_id, 1, &[]);
    assert_eq!(&driver.synced(sync).assignment[..], ids[1].as_bytes(), "the assignment stays");
    assert_eq!(driver.heartbeat(&ids[1], 1), Err(GroupError::UnknownMemberId));
    let fenced = HeartbeatRequest {
        group_id: "g".into(),
        member_id: ids[1].clone(),
        group_instance_id: Some("j".into()),
        generation_id: 1,
    };
    let reply = driver.ask(GroupRequest::Heartbeat(fenced));
    assert_eq!(reply, GroupReply::Heartbeat(Err(GroupError::FencedInstanceId)));
}

#[test]
fn a_leader_that_comes_back_is_told_to_skip_the_assignment_if_it_can() {
    let mut driver = Driver::new();
    let ids = stable_pair(&mut driver);
    let token = driver.join(JoinRequest { supports_skipping_assignment: true, ..static_join("i", 9) });
    let reply = driver.joined(token);
    assert!(reply.skip_assignment && reply.members.len() == 2 && reply.leader == reply.member_id);

    let token = driver.join(static_join("i", 10));
    let old_client = driver.joined(token);
    assert!(!old_client.skip_assignment && old_client.members.is_empty());
    assert_eq!(old_client.leader, reply.member_id, "its own former id, so that it does not assign anew");
    assert_ne!(old_client.member_id, ids[0]);
}

#[test]
fn coming_back_with_another_protocol_is_a_rebalance() {
    let mut driver = Driver::new();
    let with = |instance, fresh, names: &[&str]| JoinRequest {
        protocols: names.iter().map(|name| (Name::from(*name), subscription(&["t"]))).collect(),
        ..static_join(instance, fresh)
    };
    let token = driver.join(with("i", 1, &["range", "sticky"]));
    driver.advance(3_000);
    let id = driver.joined(token).member_id;
    driver.finish_sync(&[id], 1);
    let token = driver.join(with("i", 2, &["sticky"]));
    let reply = driver.joined(token);
    assert_eq!((reply.generation_id, reply.protocol_name.as_deref()), (2, Some("sticky")));
}

#[test]
fn the_one_that_was_replaced_is_fenced_where_it_waits() {
    let mut driver = Driver::new();
    let ids = stable_pair(&mut driver);
    let waiting = driver.join(JoinRequest { group_instance_id: Some("i".into()), ..rejoin(&ids[0]) });
    assert!(driver.is_waiting(waiting));
    let next = driver.join(static_join("i", 9));
    let fenced = driver.joined(waiting);
    assert_eq!((fenced.error, fenced.member_id), (Some(GroupError::FencedInstanceId), ids[0].clone()));
    driver.join(JoinRequest { group_instance_id: Some("j".into()), ..rejoin(&ids[1]) });
    let reply = driver.joined(next);
    assert_eq!((reply.generation_id, reply.members.len()), (2, 2));
    let stale = driver.join(JoinRequest { group_instance_id: Some("i".into()), ..rejoin(&ids[0]) });
    assert_eq!(driver.joined(stale).error, Some(GroupError::FencedInstanceId));
}

#[test]
fn coming_back_while_the_leader_assigns_starts_over() {
    let mut driver = Driver::new();
    let ids = stable_pair(&mut driver);
    driver.join(JoinRequest { group_instance_id: Some("i".into()), ..rejoin(&ids[0]) });
    driver.join(JoinRequest { group_instance_id: Some("j".into()), ..rejoin(&ids[1]) });
    let request = SyncRequest { group_instance_id: Some("j".into()), ..sync_request(&ids[1], 2, &[]) };
    let waiting = driver.send(GroupRequest::Sync(request));
    driver.join(static_join("j", 9));
    assert_eq!(driver.synced(waiting).error, Some(GroupError::FencedInstanceId));
    assert_eq!(driver.state(), GroupState::PreparingRebalance);
}

#[test]
fn static_members_keep_their_place_through_a_rebalance_they_miss() {
    let mut driver = Driver::new();
    let tokens = ["i", "j"].map(|instance| {
        driver.join(JoinRequest {
            session_timeout_ms: 300_000,
            ..static_join(instance, instance.len() as u128)
        })
    });
    driver.advance(6_000);
    let ids = tokens.map(|token| driver.joined(token).member_id);
    driver.finish_sync(&ids, 1);
    let leader =
        JoinRequest { group_instance_id: Some("i".into()), session_timeout_ms: 300_000, ..rejoin(&ids[0]) };
    let token = driver.join(leader);
    driver.advance(60_000);
    assert_eq!(driver.joined(token).members.len(), 2, "the one that did not join is still there");
}
