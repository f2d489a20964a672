//! OffsetCommit, OffsetFetch, OffsetDelete.

use headwater_coordinator::groups::*;

use crate::driver::{Driver, commit_request, rejoin};

fn fetch(
    driver: &mut Driver,
    topics: Option<Vec<(Name, Vec<i32>)>>,
    require_stable: bool,
) -> Vec<FetchedTopic> {
    let request = FetchRequest { group_id: "g".into(), topics, require_stable };
    match driver.ask(GroupRequest::FetchOffsets(request)) {
        GroupReply::FetchOffsets(topics) => topics,
        other => panic!("{other:?}"),
    }
}

fn delete(driver: &mut Driver) -> Result<Vec<TopicResults>, GroupError> {
    let request = DeleteOffsetsRequest { group_id: "g".into(), topics: vec![("t".into(), vec![0, 1])] };
    match driver.ask(GroupRequest::DeleteOffsets(request)) {
        GroupReply::DeleteOffsets(result) => result,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_consumer_without_membership_commits_into_a_group_of_its_own() {
    let mut driver = Driver::new();
    assert_eq!(driver.committed(), -1);
    let results = driver.commit_offset(commit_request("", -1, 42)).expect("accepted");
    assert_eq!(results, [TopicResults { topic: "t".into(), partitions: vec![(0, None)] }]);
    let fetched = fetch(&mut driver, None, false);
    let expected =
        FetchedOffset { partition: 0, offset: 42, leader_epoch: 5, metadata: "note".into(), error: None };
    assert_eq!(fetched, [FetchedTopic { topic: "t".into(), partitions: vec![expected] }]);
    let group = driver.describe();
    assert_eq!((group.error, group.state, &*group.protocol_type), (None, GroupState::Empty, ""));
}

#[test]
fn commits_are_checked_against_the_group() {
    let mut driver = Driver::new();
    let old = CommitRequest { understands_group_id_not_found: false, ..commit_request("m", 1, 1) };
    assert_eq!(driver.commit_offset(old), Err(GroupError::IllegalGeneration));
    assert_eq!(driver.commit_offset(commit_request("m", 1, 1)), Err(GroupError::GroupIdNotFound));

    let ids = driver.stable_group(1);
    let id = &*ids[0];
    assert!(driver.commit_offset(commit_request(id, 1, 1)).is_ok());
    assert_eq!(driver.commit_offset(commit_request(id, 0, 1)), Err(GroupError::IllegalGeneration));
    assert_eq!(driver.commit_offset(commit_request("x", 1, 1)), Err(GroupError::UnknownMemberId));
    assert_eq!(driver.commit_offset(commit_request("", -1, 1)), Err(GroupError::UnknownMemberId));
    let fenced = CommitRequest { group_instance_id: Some("i".into()), ..commit_request(id, 1, 1) };
    assert_eq!(driver.commit_offset(fenced), Err(GroupError::UnknownMemberId));

    driver.join(rejoin(id));
    assert_eq!(driver.state(), GroupState::CompletingRebalance);
    assert_eq!(driver.commit_offset(commit_request(id, 2, 1)), Err(GroupError::RebalanceInProgress));
    driver.advance(10_000);
    assert_eq!(driver.state(), GroupState::Empty);
    assert!(driver.commit_offset(commit_request("", -1, 7)).is_ok());
    assert_eq!(driver.committed(), 7);
}

#[test]
fn members_may_commit_while_a_rebalance_gathers() {
    let mut driver = Driver::new();
    let ids = driver.stable_group(2);
    driver.join(rejoin(&ids[0]));
    assert_eq!(driver.state(), GroupState::PreparingRebalance);
    assert!(driver.commit_offset(commit_request(&ids[1], 1, 9)).is_ok());
}

#[test]
fn long_metadata_is_refused_for_its_partition_only() {
    let mut driver = Driver::new();
    let mut request = commit_request("", -1, 1);
    let partition = |partition, metadata: String| CommitPartition {
        partition,
        offset: 1,
        leader_epoch: -1,
        metadata: metadata.into(),
    };
    // Counted in UTF-16 units: 2,048 characters outside the basic plane are 4,096.
    request.topics[0].partitions = vec![
        partition(0, "x".repeat(4_096)),
        partition(1, "x".repeat(4_097)),
        partition(2, "\u{1F600}".repeat(2_048)),
        partition(3, "\u{1F600}".repeat(2_049)),
    ];
    let results = driver.commit_offset(request).expect("accepted");
    let too_large = Some(GroupError::OffsetMetadataTooLarge);
    assert_eq!(results[0].partitions, [(0, None), (1, too_large), (2, None), (3, too_large)]);
    assert_eq!(driver.log.len(), 2);
}

#[test]
fn a_plain_fetch_sees_what_is_committed_and_a_stable_one_waits_for_the_rest() {
    let mut driver = Driver::new();
    driver.commit_offset(commit_request("", -1, 1)).expect("accepted");
    driver.hold = true;
    driver.send(GroupRequest::CommitOffsets(commit_request("", -1, 2)));
    let mut other = commit_request("", -1, 3);
    other.topics[0].topic = "u".into();
    driver.send(GroupRequest::CommitOffsets(other));
    assert_eq!(driver.committed(), 1);
    assert_eq!(fetch(&mut driver, None, false).len(), 1, "the other topic is not committed yet");
    let request = FetchRequest { group_id: "g".into(), topics: None, require_stable: true };
    let stable = driver.send(GroupRequest::FetchOffsets(request));
    assert!(driver.is_waiting(stable));
    driver.commit();
    match driver.outcome(stable) {
        Some(Ok(GroupReply::FetchOffsets(topics))) => {
            let offsets: Vec<i64> = topics.iter().map(|topic| topic.partitions[0].offset).collect();
            assert_eq!(offsets, [2, 3]);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(driver.committed(), 2);
}

#[test]
fn unknown_partitions_are_told_as_none() {
    let mut driver = Driver::new();
    let fetched = fetch(&mut driver, Some(vec![("t".into(), vec![3, 4])]), true);
    assert!(
        fetched[0].partitions.iter().all(|at| at.offset == -1 && at.error.is_none() && at.leader_epoch == -1)
    );
    assert_eq!(fetch(&mut driver, None, false), []);
}

#[test]
fn offsets_of_a_topic_in_use_are_not_deleted() {
    let mut driver = Driver::new();
    assert_eq!(delete(&mut driver), Err(GroupError::GroupIdNotFound));
    let ids = driver.stable_group(1);
    driver.commit_offset(commit_request(&ids[0], 1, 9)).expect("accepted");
    let subscribed = Some(GroupError::GroupSubscribedToTopic);
    assert_eq!(delete(&mut driver).expect("answered")[0].partitions, [(0, subscribed), (1, subscribed)]);
    assert_eq!(driver.committed(), 9);
    driver.advance(10_000);
    assert_eq!(delete(&mut driver).expect("answered")[0].partitions, [(0, None), (1, None)]);
    assert_eq!(driver.committed(), -1);
}

#[test]
fn offsets_of_another_kind_of_group_are_deleted_only_when_it_is_empty() {
    let mut driver = Driver::new();
    driver.join(JoinRequest {
        protocol_type: "connect".into(),
        requires_known_member_id: false,
        ..crate::driver::join_request(1)
    });
    driver.advance(3_000);
    assert_eq!(delete(&mut driver), Err(GroupError::NonEmptyGroup));
}

#[test]
fn topics_that_are_gone_take_their_offsets_along() {
    let mut driver = Driver::new();
    driver.commit_offset(commit_request("", -1, 1)).expect("accepted");
    let mut other = commit_request("", -1, 2);
    other.topics[0].topic = "u".into();
    driver.commit_offset(other).expect("accepted");
    driver.ask(GroupRequest::TopicsDeleted(vec!["t".into(), "nothing".into()]));
    let left = fetch(&mut driver, None, false);
    assert_eq!(left.iter().map(|topic| &*topic.topic).collect::<Vec<_>>(), ["u"]);
}
