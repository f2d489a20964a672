//! Which broker coordinates a group or a transactional id: asked once, forgotten when it says it does not.

use crate::client::{Client, Destination};
use crate::error::ClientError;
use crate::metadata::Node;
use crate::net::Lane;
use headwater_protocol::Str;
use headwater_protocol::messages::find_coordinator::{FindCoordinatorRequest, FindCoordinatorResponse};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Coordinators remembered; beyond it all are asked for again.
const REMEMBERED_MAX: usize = 10_000;

/// What is coordinated; the number is Kafka's key type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Group = 0,
    Transaction = 1,
}

#[derive(Default)]
pub(crate) struct Coordinators {
    known: Mutex<HashMap<(Kind, String), i32>>,
}

impl Coordinators {
    fn known(&self) -> MutexGuard<'_, HashMap<(Kind, String), i32>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn forget(&self, kind: Kind, key: &str) {
        self.known().remove(&(kind, key.to_owned()));
    }

    pub(crate) fn remembered(&self, kind: Kind, key: &str) -> Option<i32> {
        self.known().get(&(kind, key.to_owned())).copied()
    }

    /// Node id of the coordinator; asks a broker if it is not remembered.
    pub(crate) async fn find(&self, client: &Client, kind: Kind, key: &str) -> Result<i32, ClientError> {
        let entry = (kind, key.to_owned());
        if let Some(node) = self.known().get(&entry) {
            return Ok(*node);
        }
        let node = ask(client, kind, key).await?;
        let mut known = self.known();
        if known.len() >= REMEMBERED_MAX {
            known.clear();
        }
        known.insert(entry, node.id);
        drop(known);
        client.add_node(&node);
        Ok(node.id)
    }
}

async fn ask(client: &Client, kind: Kind, key: &str) -> Result<Node, ClientError> {
    let build = |version: i16| {
        let mut request = FindCoordinatorRequest { key_type: kind as i8, ..Default::default() };
        if version >= 4 {
            request.coordinator_keys.push(Str::from(key));
        } else {
            request.key = Str::from(key);
        }
        request
    };
    let timeout = client.config().request_timeout();
    let reply = client.call(&Destination::Any, Lane::General, i16::MAX, timeout, build).await?;
    read(reply.version, &reply.body, kind, key)
}

fn read(version: i16, answer: &FindCoordinatorResponse, kind: Kind, key: &str) -> Result<Node, ClientError> {
    let subject = || match kind {
        Kind::Group => format!("coordinator of group {key}"),
        Kind::Transaction => format!("coordinator of transactional id {key}"),
    };
    let (code, message, id, host, port) = if version >= 4 {
        let found = answer.coordinators.iter().find(|found| &*found.key == key).ok_or_else(|| {
            ClientError::Malformed {
                node: "a broker".into(),
                api: "FindCoordinator",
                reason: "no answer for the key".into(),
            }
        })?;
        (found.error_code, found.error_message.as_deref(), found.node_id, &found.host, found.port)
    } else {
        (answer.error_code, answer.error_message.as_deref(), answer.node_id, &answer.host, answer.port)
    };
    ClientError::check_with(code, message, subject)?;
    Ok(Node { id, host: host.to_string(), port, rack: None })
}
