//! The configuration that a broker starts with: `server.properties` keys, checked against the table.
//!
//! Three kinds of key are treated apart. Keys that promise safety (TLS, SASL, authorization) are refused,
//! because a broker that ignored them would be open where its owner believes it closed. Keys that are not in
//! the table are handed back so that the caller can warn of them. Everything else is checked and kept.

use std::path::{Path, PathBuf};

use super::broker_key;
use super::key::{ConfigError, elements};
use super::layers::{Layers, Values};
use super::listener::{Listener, PLAINTEXT};

/// The configuration of a broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerConfig {
    data_dir: PathBuf,
    values: Values,
    listeners: Vec<Listener>,
    advertised: Vec<Listener>,
}

/// Keys that begin with one of these promise safety.
const SAFETY_PREFIXES: &[&str] = &["ssl.", "sasl.", "authorizer.", "delegation.token.", "listener.name."];
/// Keys that promise safety by their whole name.
const SAFETY_KEYS: &[&str] = &[
    "super.users",
    "allow.everyone.if.no.acl.found",
    "principal.builder.class",
    "connections.max.reauth.ms",
];

/// Settings of a broker that is started without a file of them, where they differ from the defaults: Kafka's own
/// `server.properties` has the same, since somebody who tries things out should not wait for members that never come.
pub fn settings_without_file() -> Vec<(String, String)> {
    vec![("group.initial.rebalance.delay.ms".to_owned(), "0".to_owned())]
}

impl BrokerConfig {
    /// A configuration of defaults with its data in `data_dir` and one plaintext listener on a free port of
    /// 127.0.0.1.
    pub fn new(data_dir: impl Into<PathBuf>) -> BrokerConfig {
        BrokerConfig {
            data_dir: data_dir.into(),
            values: Values::new(),
            listeners: vec![Listener::plaintext("127.0.0.1", 0)],
            advertised: Vec::new(),
        }
    }

    /// A configuration from the pairs of a `server.properties` file, and the keys that are not known.
    /// `data_dir`, when given, overrides `log.dirs` and `log.dir`.
    pub fn from_properties<K: AsRef<str>, V: AsRef<str>>(
        data_dir: Option<PathBuf>,
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Result<(BrokerConfig, Vec<String>), ConfigError> {
        let mut config = BrokerConfig::new(PathBuf::new());
        let mut unknown = Vec::new();
        for (key, value) in pairs {
            match config.put(key.as_ref(), value.as_ref()) {
                Err(ConfigError::Unknown(key)) => unknown.push(key),
                other => other?,
            }
        }
        config.data_dir = match data_dir {
            Some(given) => given,
            None => config.named_data_dir()?,
        };
        config.settle_listeners()?;
        Ok((config, unknown))
    }

    /// Sets one key.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), ConfigError> {
        self.put(key, value)?;
        if matches!(
            key,
            "listeners"
                | "advertised.listeners"
                | "listener.security.protocol.map"
                | "controller.listener.names"
        ) {
            self.settle_listeners()?;
        }
        if matches!(key, "log.dirs" | "log.dir") {
            self.data_dir = self.named_data_dir()?;
        }
        Ok(())
    }

    /// Replaces the listeners; none at all makes a broker that only its own process reaches.
    pub fn listen(&mut self, listeners: Vec<Listener>) {
        self.listeners = listeners;
    }

    /// Replaces the addresses given to clients; none leaves them those of the listeners.
    pub fn advertise(&mut self, listeners: Vec<Listener>) {
        self.advertised = listeners;
    }

    /// Where the data lies.
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// The addresses to listen on.
    pub fn listeners(&self) -> &[Listener] {
        &self.listeners
    }

    /// The address that clients of the listener `name` are given, unless it is the listener's own.
    pub fn advertised(&self, name: &str) -> Option<&Listener> {
        self.advertised.iter().find(|listener| listener.name == name)
    }

    /// What was set, in canonical form.
    pub fn values(&self) -> &Values {
        &self.values
    }

    /// The number of the node.
    pub fn node_id(&self) -> i32 {
        self.int("node.id")
    }

    /// The value of a key of the table, resolved through its synonyms; the table guarantees the type, since
    /// every value was checked on its way in.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        let key = broker_key(name)?;
        Layers { broker: None, cluster: None, fixed: &self.values }.broker_value(key).value
    }

    /// A whole number; see [`text`](Self::text).
    pub(crate) fn long(&self, name: &str) -> i64 {
        self.text(name).and_then(|value| value.parse().ok()).unwrap_or_default()
    }

    /// A whole number of 32 bits; see [`text`](Self::text).
    pub(crate) fn int(&self, name: &str) -> i32 {
        self.text(name).and_then(|value| value.parse().ok()).unwrap_or_default()
    }

    /// A whole number of a key that counts things.
    pub(crate) fn count(&self, name: &str) -> usize {
        usize::try_from(self.long(name)).unwrap_or(0)
    }

    /// A truth; see [`text`](Self::text).
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.text(name).as_deref() == Some("true")
    }

    fn put(&mut self, name: &str, value: &str) -> Result<(), ConfigError> {
        if SAFETY_KEYS.contains(&name) || SAFETY_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
            return Err(ConfigError::Unsupported {
                key: name.to_owned(),
                reason: "this broker has no TLS, SASL or authorization yet, and will not pretend to",
            });
        }
        let key = broker_key(name).ok_or_else(|| ConfigError::Unknown(name.to_owned()))?;
        self.values.insert(name.to_owned(), key.check(value)?);
        Ok(())
    }

    fn named_data_dir(&self) -> Result<PathBuf, ConfigError> {
        let named = self.values.get("log.dirs").or_else(|| self.values.get("log.dir"));
        let mut directories = named.map(String::as_str).map(elements).into_iter().flatten();
        match (directories.next(), directories.next()) {
            (Some(one), None) => Ok(PathBuf::from(one)),
            (None, _) => Err(ConfigError::Contradiction("no data directory: set `log.dirs`".to_owned())),
            (Some(_), Some(_)) => Err(ConfigError::Unsupported {
                key: "log.dirs".to_owned(),
                reason: "there can be one data directory, not several",
            }),
        }
    }

    fn settle_listeners(&mut self) -> Result<(), ConfigError> {
        let of_controllers = self.text("controller.listener.names").unwrap_or_default().to_ascii_uppercase();
        let is_controller = |name: &str| elements(&of_controllers).any(|other| other == name);
        if let Some(listeners) = self.values.get("listeners") {
            let mut parsed = parse_all("listeners", listeners)?;
            parsed.retain(|listener| !is_controller(&listener.name));
            self.listeners = parsed;
        }
        if let Some(advertised) = self.values.get("advertised.listeners") {
            let mut parsed = parse_all("advertised.listeners", advertised)?;
            parsed.retain(|listener| !is_controller(&listener.name));
            self.advertised = parsed;
        }
        for listener in self.listeners.iter().chain(&self.advertised) {
            self.check_protocol(&listener.name)?;
        }
        match self.advertised.iter().find(|one| !self.listeners.iter().any(|other| other.name == one.name)) {
            Some(stranger) => Err(ConfigError::Contradiction(format!(
                "`advertised.listeners` names {}, which is not in `listeners`",
                stranger.name
            ))),
            None => Ok(()),
        }
    }

    fn check_protocol(&self, listener: &str) -> Result<(), ConfigError> {
        let map = self.text("listener.security.protocol.map").unwrap_or_default();
        let protocol = elements(&map)
            .filter_map(|entry| entry.split_once(':'))
            .find(|(name, _)| name.eq_ignore_ascii_case(listener))
            .map(|(_, protocol)| protocol.trim().to_ascii_uppercase());
        match protocol.as_deref() {
            Some(PLAINTEXT) => Ok(()),
            Some(_) => Err(ConfigError::Unsupported {
                key: "listeners".to_owned(),
                reason: "only the security protocol PLAINTEXT is served yet",
            }),
            None => Err(ConfigError::Contradiction(format!(
                "`listener.security.protocol.map` gives no security protocol for the listener {listener}"
            ))),
        }
    }
}

fn parse_all(key: &'static str, list: &str) -> Result<Vec<Listener>, ConfigError> {
    let parsed: Vec<Listener> =
        elements(list).map(|text| Listener::parse(key, text)).collect::<Result<_, _>>()?;
    for (index, listener) in parsed.iter().enumerate() {
        if parsed[..index].iter().any(|other| other.name == listener.name) {
            return Err(ConfigError::Contradiction(format!("`{key}` names {} twice", listener.name)));
        }
    }
    Ok(parsed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(pairs: &[(&str, &str)]) -> Result<(BrokerConfig, Vec<String>), ConfigError> {
        BrokerConfig::from_properties(Some("/data".into()), pairs.iter().copied())
    }

    #[test]
    fn a_usual_server_properties_of_one_node_is_accepted() {
        let (config, unknown) = parse(&[
            ("process.roles", "broker,controller"),
            ("broker.id", "7"),
            ("listeners", "PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093"),
            ("controller.listener.names", "CONTROLLER"),
            ("advertised.listeners", "PLAINTEXT://events.example:9092"),
            ("log.retention.hours", "2"),
            ("num.network.threads", "3"),
            ("fancy.new.key", "1"),
        ])
        .unwrap();
        assert_eq!(unknown, ["fancy.new.key"]);
        assert_eq!(config.node_id(), 7);
        assert_eq!(config.long("log.retention.ms"), 7_200_000);
        assert_eq!(config.listeners(), [Listener::plaintext("localhost", 9092)]);
        assert_eq!(config.advertised("PLAINTEXT").unwrap().host, "events.example");
    }

    #[test]
    fn keys_that_promise_safety_are_refused() {
        for (key, value) in [
            ("ssl.keystore.location", "/k"),
            ("sasl.enabled.mechanisms", "PLAIN"),
            ("authorizer.class.name", "x"),
            ("super.users", "User:a"),
            ("listeners", "SASL_SSL://:9092"),
            ("listeners", "SSL://:9092"),
        ] {
            let error = parse(&[(key, value)]).unwrap_err();
            assert!(matches!(error, ConfigError::Unsupported { .. }), "{key}: {error}");
        }
        let mapped =
            parse(&[("listeners", "OUT://:1"), ("listener.security.protocol.map", "OUT:SASL_PLAINTEXT")]);
        assert!(matches!(mapped, Err(ConfigError::Unsupported { .. })));
        assert!(parse(&[("listeners", "OUT://:1")]).is_err(), "a name without a protocol");
        assert!(
            parse(&[("listeners", "OUT://:1"), ("listener.security.protocol.map", "OUT:PLAINTEXT")]).is_ok()
        );
    }

    #[test]
    fn wrong_values_and_two_directories_are_refused() {
        assert!(matches!(parse(&[("log.segment.bytes", "1024")]), Err(ConfigError::Invalid { .. })));
        let two = BrokerConfig::from_properties(None, [("log.dirs", "/a,/b")]);
        assert!(matches!(two, Err(ConfigError::Unsupported { .. })));
        let none = BrokerConfig::from_properties(None, [("node.id", "1")]);
        assert!(matches!(none, Err(ConfigError::Contradiction(_))));
        let (config, _) = BrokerConfig::from_properties(None, [("log.dirs", " /a ")]).unwrap();
        assert_eq!(config.data_dir(), Path::new("/a"));
    }
}
