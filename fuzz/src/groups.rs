//! Group coordination: records of `__consumer_offsets`, and the opaque bytes of consumers in a group.

use headwater_coordinator::groups::{GroupConfig, GroupRequest, GroupShard, ListRequest};
use headwater_coordinator::{EndTransaction, RecordPosition, ReplyToken, Shard};

use crate::Feed;

const NOW_MS: i64 = 1_700_000_000_000;
/// Timers of one input that are let run: a group of unwatched members would go on for ever.
const TIMERS_MAX: usize = 50;
/// Bytes of a piece of a snapshot: small, so that there are several.
const PIECE_BYTES: usize = 64;

fn replay_snapshot(shard: &GroupShard) -> GroupShard {
    let mut copy = GroupShard::new(GroupConfig::default());
    let (mut after, mut offset) = (None, 0);
    loop {
        let chunk = shard.snapshot(after.take(), PIECE_BYTES);
        for record in chunk.records {
            copy.replay(RecordPosition::plain(offset), &record.key, record.value.as_deref())
                .expect("what a snapshot writes can be read");
            offset += 1;
        }
        match chunk.next {
            Some(next) => after = Some(next),
            None => return copy,
        }
    }
}

/// Keys and values as they stand in the log: the shard refuses them or stays consistent, also once it is loaded, time
/// passes and questions come; a snapshot of it gives the same groups.
pub fn group_records(input: &[u8]) {
    let mut feed = Feed::new(input);
    let mut shard = GroupShard::new(GroupConfig::default());
    let mut offset = 0;
    while !feed.is_empty() {
        let flags = feed.u8();
        let producer_id = i64::from(flags >> 4);
        if flags & 8 != 0 {
            let end = if flags & 1 != 0 { EndTransaction::Commit } else { EndTransaction::Abort };
            shard.replay_end_transaction(offset, producer_id, end);
        } else {
            let position =
                RecordPosition { offset, transactional_producer_id: (flags & 2 != 0).then_some(producer_id) };
            let (key, value) = (feed.chunk(), feed.chunk());
            let _ = shard.replay(position, key, (flags & 1 == 0).then_some(value));
        }
        if flags & 4 != 0 {
            shard.committed(offset + 1);
        }
        offset += 1;
    }
    shard.validate().expect("consistent after replay");
    shard.committed(offset);
    let copy = replay_snapshot(&shard);
    copy.validate().expect("a copy is consistent");
    shard.loaded(NOW_MS);
    shard.validate().expect("consistent once loaded");
    shard.handle(NOW_MS, ReplyToken(1), GroupRequest::List(ListRequest::default()));
    for _ in 0..TIMERS_MAX {
        let Some(deadline) = shard.next_deadline() else { break };
        shard.on_time(deadline.max(NOW_MS));
    }
    std::hint::black_box((shard.oldest_needed(), shard.live_records(), shard.unload()));
}

/// What a member tells of itself, and what the leader assigns.
pub fn group_protocol(input: &[u8]) {
    headwater_client::fuzzing::group_protocol(input);
}
