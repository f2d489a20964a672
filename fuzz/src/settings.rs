//! `server.properties` and topic configurations: refused with a reason, or accepted in a form that is accepted again.

use headwater_broker::config::{BrokerConfig, broker_key, topic_key};

/// Text of a properties file.
pub fn settings(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let Ok(pairs) = crate::properties::parse(&text) else { return };
    for (name, value) in &pairs {
        for key in [broker_key(name), topic_key(name)].into_iter().flatten() {
            if let Ok(canonical) = key.check(value) {
                assert_eq!(key.check(&canonical), Ok(canonical.clone()), "{name}={value}");
            }
        }
    }
    if let Ok((config, _)) = BrokerConfig::from_properties(Some("/data".into()), pairs) {
        std::hint::black_box((config.node_id(), config.listeners().len()));
    }
}
