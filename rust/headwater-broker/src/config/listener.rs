//! Listeners: `NAME://host:port`, with Kafka's rules for names and hosts.

use super::key::ConfigError;

/// The only security protocol that is served, and the usual name of a listener that has it.
pub const PLAINTEXT: &str = "PLAINTEXT";

/// An address to listen on, or to be given to clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// The listener's name, in capitals.
    pub name: String,
    /// A host name or address; empty for all interfaces.
    pub host: String,
    /// 0 for any free port.
    pub port: u16,
}

impl Listener {
    /// A plaintext listener on `host:port`.
    pub fn plaintext(host: impl Into<String>, port: u16) -> Listener {
        Listener { name: PLAINTEXT.to_owned(), host: host.into(), port }
    }

    /// Parses `NAME://host:port`; the host may be empty or an IPv6 address in brackets.
    pub fn parse(key: &'static str, text: &str) -> Result<Listener, ConfigError> {
        let invalid = || ConfigError::Invalid {
            key: key.to_owned(),
            value: text.to_owned(),
            expected: "NAME://host:port".to_owned(),
        };
        let (name, address) = text.trim().split_once("://").ok_or_else(invalid)?;
        let (host, port) = address.rsplit_once(':').ok_or_else(invalid)?;
        let host = match host.strip_prefix('[') {
            Some(rest) => rest.strip_suffix(']').ok_or_else(invalid)?,
            None if host.contains(':') => return Err(invalid()),
            None => host,
        };
        if name.is_empty() || host.contains(char::is_whitespace) {
            return Err(invalid());
        }
        let port = port.parse().map_err(|_| invalid())?;
        Ok(Listener { name: name.to_ascii_uppercase(), host: host.to_owned(), port })
    }

    /// The address to bind: an empty host means all interfaces.
    pub fn bind_address(&self) -> String {
        match self.host.as_str() {
            "" => format!("0.0.0.0:{}", self.port),
            host if host.contains(':') => format!("[{host}]:{}", self.port),
            host => format!("{host}:{}", self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_may_be_names_empty_or_ipv6() {
        let parse = |text| Listener::parse("listeners", text);
        assert_eq!(parse("PLAINTEXT://:9092"), Ok(Listener::plaintext("", 9092)));
        assert_eq!(parse("plaintext://localhost:0"), Ok(Listener::plaintext("localhost", 0)));
        let six = parse("INSIDE://[::1]:9093").unwrap();
        assert_eq!((six.name.as_str(), six.bind_address().as_str()), ("INSIDE", "[::1]:9093"));
        assert_eq!(Listener::plaintext("", 1).bind_address(), "0.0.0.0:1");
        for wrong in
            ["localhost:9092", "PLAINTEXT://localhost", "PLAINTEXT://a:99999", "PLAINTEXT://::1:9", "://a:1"]
        {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
