//! DescribeGroups, ListGroups, DeleteGroups.

use headwater_coordinator::groups::*;

use crate::driver::{Driver, commit_request, join_request};

fn list(driver: &mut Driver, states: &[&str], types: &[&str]) -> Vec<String> {
    let names = |names: &[&str]| names.iter().map(|name| Name::from(*name)).collect();
    let request = ListRequest { states: names(states), types: names(types) };
    match driver.ask(GroupRequest::List(request)) {
        GroupReply::List(groups) => {
            groups.iter().map(|g| format!("{} {} {}", g.group_id, g.protocol_type, g.state)).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_stable_group_is_described_whole_and_another_without_metadata() {
    let mut driver = Driver::new();
    let ids = driver.stable_group(2);
    let group = driver.describe();
    assert_eq!((&*group.protocol_type, &*group.protocol), ("consumer", "range"));
    assert_eq!(group.members.len(), 2);
    for member in &group.members {
        assert_eq!(&member.assignment[..], member.member_id.as_bytes());
        assert!(!member.metadata.is_empty());
        assert_eq!((&*member.client_id, &*member.client_host), ("c", "/127.0.0.1"));
    }
    driver.join(crate::driver::rejoin(&ids[0]));
    let group = driver.describe();
    assert_eq!((group.state, &*group.protocol), (GroupState::PreparingRebalance, ""));
    assert!(group.members.iter().all(|member| member.metadata.is_empty() && member.assignment.is_empty()));
}

#[test]
fn lists_are_filtered_without_regard_to_case() {
    let mut driver = Driver::new();
    driver.stable_group(1);
    let simple = CommitRequest { group_id: "simple".into(), ..commit_request("", -1, 1) };
    driver.commit_offset(simple).expect("accepted");
    assert_eq!(list(&mut driver, &[], &[]), ["g consumer Stable", "simple  Empty"]);
    assert_eq!(list(&mut driver, &["stable", "Dead"], &[]), ["g consumer Stable"]);
    assert_eq!(list(&mut driver, &[], &["Classic"]).len(), 2);
    assert_eq!(list(&mut driver, &[], &["consumer"]), [""; 0]);
}

#[test]
fn only_empty_groups_are_deleted_with_all_their_offsets() {
    let mut driver = Driver::new();
    let ids = driver.stable_group(1);
    driver.commit_offset(commit_request(&ids[0], 1, 5)).expect("accepted");
    let request = GroupRequest::Delete(vec!["g".into(), "nothing".into()]);
    assert_eq!(
        driver.ask(request.clone()),
        GroupReply::Delete(vec![
            ("g".into(), Err(GroupError::NonEmptyGroup)),
            ("nothing".into(), Err(GroupError::GroupIdNotFound))
        ])
    );
    driver.advance(10_000);
    let promised = driver.join(join_request(9));
    assert_eq!(driver.joined(promised).error, Some(GroupError::MemberIdRequired));
    assert!(
        matches!(driver.ask(request.clone()), GroupReply::Delete(results) if results[0].1.is_ok()),
        "a promised id does not make a member"
    );
    assert_eq!(driver.committed(), -1);
    assert_eq!(list(&mut driver, &[], &[]), [""; 0]);
    driver.restart();
    assert_eq!(list(&mut driver, &[], &[]), [""; 0]);
}
