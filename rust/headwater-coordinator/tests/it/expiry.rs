//! Offset expiry, and the end of groups with nothing left.

use headwater_coordinator::groups::*;

use crate::driver::{Driver, commit_request, join_request, subscription};

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

#[test]
fn offsets_without_membership_live_seven_days_from_their_commit() {
    let mut driver = Driver::new();
    driver.commit_offset(commit_request("", -1, 1)).expect("accepted");
    driver.advance(7 * DAY - HOUR);
    assert_eq!(driver.committed(), 1);
    driver.advance(2 * HOUR);
    assert_eq!(driver.committed(), -1);
    assert_eq!(driver.describe().error, Some(GroupError::GroupIdNotFound), "nothing is left of the group");
}

#[test]
fn offsets_of_a_group_live_seven_days_from_its_last_member() {
    let mut driver = Driver::new();
    let token = driver.join(JoinRequest {
        requires_known_member_id: false,
        session_timeout_ms: 1_800_000,
        ..join_request(1)
    });
    driver.advance(3_000);
    let id = driver.joined(token).member_id;
    driver.finish_sync(std::slice::from_ref(&id), 1);
    driver.commit_offset(commit_request(&id, 1, 1)).expect("accepted");
    for _ in 0..10 * 24 * 4 {
        driver.advance(HOUR / 4);
        driver.heartbeat(&id, 1).expect("alive");
    }
    assert_eq!(driver.committed(), 1, "ten days with a member");
    driver.advance(7 * DAY - HOUR);
    assert_eq!(driver.committed(), 1);
    driver.advance(2 * HOUR);
    assert_eq!(driver.committed(), -1);
}

#[test]
fn a_living_group_loses_offsets_of_topics_it_no_longer_reads() {
    let mut driver = Driver::with(GroupConfig { offsets_retention_ms: HOUR, ..GroupConfig::default() });
    let token = driver.join(JoinRequest {
        requires_known_member_id: false,
        session_timeout_ms: 1_800_000,
        protocols: vec![("range".into(), subscription(&["u"]))],
        ..join_request(1)
    });
    driver.advance(3_000);
    let id = driver.joined(token).member_id;
    driver.finish_sync(std::slice::from_ref(&id), 1);
    let mut read = commit_request(&id, 1, 7);
    read.topics[0].topic = "u".into();
    driver.commit_offset(read).expect("accepted");
    driver.commit_offset(commit_request(&id, 1, 1)).expect("accepted");
    for _ in 0..5 {
        driver.advance(HOUR / 4);
        driver.heartbeat(&id, 1).expect("alive");
    }
    assert_eq!(driver.committed(), -1);
    let request = FetchRequest { group_id: "g".into(), topics: None, require_stable: false };
    assert!(matches!(
        driver.ask(GroupRequest::FetchOffsets(request)),
        GroupReply::FetchOffsets(topics) if topics.len() == 1
    ));
}

#[test]
fn a_client_may_choose_the_retention() {
    let mut driver = Driver::new();
    let request = CommitRequest { retention_ms: Some(HOUR), ..commit_request("", -1, 1) };
    driver.commit_offset(request).expect("accepted");
    driver.advance(HOUR - 1);
    assert_eq!(driver.committed(), 1);
    driver.restart();
    driver.advance(HOUR);
    assert_eq!(driver.committed(), -1, "the choice survives a restart");
}

#[test]
fn many_expired_groups_go_in_several_decisions() {
    let mut driver = Driver::new();
    for group in 0..1_100 {
        let request = CommitRequest { group_id: format!("g{group:04}").into(), ..commit_request("", -1, 1) };
        driver.commit_offset(request).expect("accepted");
    }
    driver.advance(8 * DAY);
    let listed = driver.ask(GroupRequest::List(ListRequest::default()));
    assert_eq!(listed, GroupReply::List(vec![]));
}
