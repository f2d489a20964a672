//! Random sequences of requests, time and failures: the shard stays valid after each step, nobody is answered twice or
//! never, and the log alone gives the same durable state.

use headwater_coordinator::groups::*;
use headwater_coordinator::{Refusal, ReplyToken, Shard};
use proptest::prelude::*;

use crate::driver::{Driver, commit_request, join_request, subscription, sync_request};

#[derive(Debug, Clone)]
enum Event {
    JoinNew { instance: Option<u8>, old_client: bool, protocol: u8 },
    JoinAgain { member: usize, protocol: u8 },
    Sync { member: usize, stale: bool },
    Heartbeat { member: usize },
    Leave { member: usize },
    Commit { member: Option<usize>, offset: i64 },
    DeleteOffsets,
    DeleteGroup,
    TopicDeleted,
    Advance { ms: i64 },
    Refuse { on: bool },
    Hold { on: bool },
    Commits,
    TimeOut,
    Restart,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (proptest::option::of(0..3u8), any::<bool>(), 0..3u8)
            .prop_map(|(instance, old_client, protocol)| Event::JoinNew { instance, old_client, protocol }),
        8 => (0..8usize, 0..3u8).prop_map(|(member, protocol)| Event::JoinAgain { member, protocol }),
        8 => (0..8usize, proptest::bool::weighted(0.1)).prop_map(|(member, stale)| Event::Sync { member, stale }),
        3 => (0..8usize).prop_map(|member| Event::Heartbeat { member }),
        2 => (0..8usize).prop_map(|member| Event::Leave { member }),
        3 => (proptest::option::of(0..8usize), 0..1_000i64)
            .prop_map(|(member, offset)| Event::Commit { member, offset }),
        1 => Just(Event::DeleteOffsets),
        1 => Just(Event::DeleteGroup),
        1 => Just(Event::TopicDeleted),
        6 => prop_oneof![0..100i64, 2_000..12_000i64, Just(60_000), Just(8 * 86_400_000)]
            .prop_map(|ms| Event::Advance { ms }),
        1 => proptest::bool::weighted(0.4).prop_map(|on| Event::Refuse { on }),
        2 => proptest::bool::weighted(0.4).prop_map(|on| Event::Hold { on }),
        2 => Just(Event::Commits),
        1 => Just(Event::TimeOut),
        1 => Just(Event::Restart),
    ]
}

/// Members as their clients know them: id, instance, generation.
#[derive(Default)]
struct Clients {
    members: Vec<(Name, Option<Name>, i32)>,
    waiting: Vec<(ReplyToken, Option<Name>)>,
    all_tokens: Vec<ReplyToken>,
}

impl Clients {
    fn pick(&self, index: usize) -> Option<(Name, Option<Name>, i32)> {
        let count = self.members.len();
        (count > 0).then(|| self.members[index % count].clone())
    }

    fn learn(&mut self, driver: &mut Driver) {
        for (token, instance) in std::mem::take(&mut self.waiting) {
            match driver.outcome(token) {
                None => self.waiting.push((token, instance)),
                Some(Ok(GroupReply::Join(reply))) if !reply.member_id.is_empty() => {
                    self.members.retain(|(id, _, _)| *id != reply.member_id);
                    self.members.insert(0, (reply.member_id, instance, reply.generation_id));
                    self.members.truncate(8);
                }
                Some(_) => {}
            }
        }
    }
}

fn protocols(choice: u8) -> Vec<(Name, bytes::Bytes)> {
    let names: &[&str] = match choice {
        0 => &["range"],
        1 => &["range", "sticky"],
        _ => &["sticky", "range"],
    };
    names.iter().map(|name| (Name::from(*name), subscription(&["t"]))).collect()
}

fn run(driver: &mut Driver, clients: &mut Clients, step: usize, event: Event) {
    let base = || JoinRequest { rebalance_timeout_ms: 8_000, ..join_request(step as u128) };
    let (request, instance) = match event {
        Event::JoinNew { instance, old_client, protocol } => {
            let instance = instance.map(|i| Name::from(format!("i{i}")));
            let request = JoinRequest {
                group_instance_id: instance.clone(),
                requires_known_member_id: !old_client,
                supports_skipping_assignment: !old_client,
                protocols: protocols(protocol),
                ..base()
            };
            (GroupRequest::Join(request), instance)
        }
        Event::JoinAgain { member, protocol } => {
            let Some((id, instance, _)) = clients.pick(member) else { return };
            let request = JoinRequest {
                member_id: id,
                group_instance_id: instance.clone(),
                protocols: protocols(protocol),
                ..base()
            };
            (GroupRequest::Join(request), instance)
        }
        Event::Sync { member, stale } => {
            let Some((id, instance, generation)) = clients.pick(member) else { return };
            let generation = generation - i32::from(stale);
            let request = SyncRequest {
                group_instance_id: instance.clone(),
                ..sync_request(&id, generation, &[(&id, "mine")])
            };
            (GroupRequest::Sync(request), instance)
        }
        Event::Heartbeat { member } => {
            let Some((member_id, group_instance_id, generation_id)) = clients.pick(member) else { return };
            let group_id = "g".into();
            let request = HeartbeatRequest { group_id, member_id, group_instance_id, generation_id };
            (GroupRequest::Heartbeat(request), None)
        }
        Event::Leave { member } => {
            let Some((member_id, group_instance_id, _)) = clients.pick(member) else { return };
            let members = vec![LeavingMember { member_id, group_instance_id }];
            (GroupRequest::Leave(LeaveRequest { group_id: "g".into(), members }), None)
        }
        Event::Commit { member, offset } => {
            let (id, group_instance_id, generation) =
                member.and_then(|member| clients.pick(member)).unwrap_or(("".into(), None, -1));
            let request = CommitRequest { group_instance_id, ..commit_request(&id, generation, offset) };
            (GroupRequest::CommitOffsets(request), None)
        }
        Event::DeleteOffsets => {
            let topics = vec![("t".into(), vec![0])];
            (GroupRequest::DeleteOffsets(DeleteOffsetsRequest { group_id: "g".into(), topics }), None)
        }
        Event::DeleteGroup => (GroupRequest::Delete(vec!["g".into()]), None),
        Event::TopicDeleted => (GroupRequest::TopicsDeleted(vec!["t".into()]), None),
        Event::Advance { ms } => return driver.advance(ms),
        Event::Refuse { on } => {
            driver.refuse = on.then_some(Refusal::NotEnoughReplicas);
            return;
        }
        Event::Hold { on } => {
            driver.hold = on;
            return;
        }
        Event::Commits => return driver.commit(),
        Event::TimeOut => return driver.time_out(),
        Event::Restart => return driver.restart(),
    };
    let token = driver.send(request);
    clients.waiting.push((token, instance));
    clients.all_tokens.push(token);
}

fn check(events: Vec<Event>) {
    let mut driver = Driver::with(GroupConfig { size_max: 4, ..GroupConfig::default() });
    let mut clients = Clients::default();
    for (step, event) in events.into_iter().enumerate() {
        run(&mut driver, &mut clients, step, event);
        clients.learn(&mut driver);
    }
    let durable = driver.shard.snapshot(None, usize::MAX).records;
    let oldest = driver.shard.oldest_needed();

    // Whatever still waits is answered in the end, and the group comes to rest.
    driver.refuse = None;
    driver.hold = false;
    driver.commit();
    driver.advance(600_000);
    clients.learn(&mut driver);
    assert!(clients.waiting.is_empty(), "{:?} were never answered", clients.waiting);
    assert!(matches!(driver.state(), GroupState::Empty | GroupState::Dead));

    // The log alone gives the same durable state.
    let end = durable_end(&driver, &durable, oldest);
    assert!(end.is_some(), "no prefix of the log gives the durable state");
}

/// Replays the log record by record until the state is the one seen at the end of the random part.
fn durable_end(
    driver: &Driver,
    durable: &[headwater_coordinator::Record],
    oldest: Option<i64>,
) -> Option<usize> {
    let mut copy = GroupShard::new(GroupConfig::default());
    let same = |copy: &GroupShard| {
        copy.oldest_needed() == oldest && copy.snapshot(None, usize::MAX).records == durable
    };
    if same(&copy) {
        return Some(0);
    }
    for (offset, record) in driver.log.iter().enumerate() {
        let position = headwater_coordinator::RecordPosition::plain(offset as i64);
        copy.replay(position, &record.key, record.value.as_deref()).expect("own records");
        if same(&copy) {
            return Some(offset + 1);
        }
    }
    None
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(150),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn random_lives_of_a_group(events in proptest::collection::vec(event(), 1..80)) {
        check(events);
    }
}
