//! Connections to brokers: framing, pipelining, timeouts, version handshake, reconnecting with backoff.
//!
//! ```text
//!  caller ─ submit ─▶ bounded queue ─▶ writer task ─▶ wire
//!  caller ◀─ oneshot ─ pending, in wire order ◀─ reader task ◀─ wire
//! ```
//!
//! A broker answers in the order it was asked, so the pending requests of a connection are a queue, and whoever may wait
//! long (a fetch, a join) gets a [`Lane`] of its own. A broker of ours on the same machine tells its address of a local
//! socket in the version handshake; fetches then go there, and large ranges of its segments come as files to be read
//! instead of bytes. Over memory the wire carries whole frames and a broker is named by
//! its node id alone. Deliberately absent: TLS and SASL, and any knowledge of what the requests mean.

mod connection;
mod local;
mod pool;
mod transport;

pub(crate) use connection::{Connection, Reply};
pub(crate) use pool::{Address, Lane, Pool, Target};

use crate::config::ConfigError;
use headwater_env::net::MemoryNetwork;

/// Where to find the cluster.
#[derive(Clone, Debug)]
pub enum Bootstrap {
    /// Addresses `host:port`; any one that answers is enough.
    Servers(Vec<String>),
    /// Brokers of this process, reached by node id.
    Memory(MemoryNetwork),
}

impl Bootstrap {
    /// Reads a list like `one:9092,two:9092`.
    pub fn parse(servers: &str) -> Result<Self, ConfigError> {
        let servers: Vec<String> = servers
            .split(',')
            .map(str::trim)
            .filter(|server| !server.is_empty())
            .map(str::to_owned)
            .collect();
        Self::Servers(servers).checked()
    }

    /// Checks that every address can be used.
    pub(crate) fn checked(self) -> Result<Self, ConfigError> {
        if let Self::Servers(servers) = &self {
            let invalid = |value: &str| ConfigError::Invalid {
                key: "bootstrap.servers".into(),
                expects: "a list of host:port",
                value: value.to_owned(),
            };
            if servers.is_empty() {
                return Err(invalid(""));
            }
            for server in servers {
                split_address(server).ok_or_else(|| invalid(server))?;
            }
        }
        Ok(self)
    }
}

/// Splits `host:port`, also `[::1]:9092` and `PLAINTEXT://host:port`.
pub(crate) fn split_address(address: &str) -> Option<(String, u16)> {
    let address = address.split_once("://").map_or(address, |(_, rest)| rest);
    let (host, port) = address.rsplit_once(':')?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    if host.is_empty() {
        return None;
    }
    Some((host.to_owned(), port.parse().ok().filter(|port| *port != 0)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        assert_eq!(split_address("broker:9092"), Some(("broker".into(), 9092)));
        assert_eq!(split_address("[::1]:9092"), Some(("::1".into(), 9092)));
        assert_eq!(split_address("PLAINTEXT://b:1"), Some(("b".into(), 1)));
        for bad in ["broker", ":9092", "broker:", "broker:0", "broker:99999", "broker:x"] {
            assert_eq!(split_address(bad), None, "{bad}");
        }
        let error = Bootstrap::parse("one:9092, two").unwrap_err();
        assert_eq!(error.to_string(), "bootstrap.servers expects a list of host:port, got \"two\"");
        assert!(matches!(Bootstrap::parse("a:1,b:2,"), Ok(Bootstrap::Servers(list)) if list.len() == 2));
    }
}
