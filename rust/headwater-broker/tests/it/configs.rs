//! Configs: what is told, what can be changed, and that a change takes effect.

use headwater_protocol::messages::alter_configs::{
    AlterConfigsRequest, AlterConfigsResource as LegacyResource, AlterableConfig as LegacyConfig,
};
use headwater_protocol::messages::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult, DescribeConfigsResult,
};
use headwater_protocol::messages::incremental_alter_configs::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use headwater_protocol::{ErrorCode, Str};

use crate::client::Client;
use crate::support::*;

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

async fn describe(client: &mut Client, kind: i8, name: &str, keys: Option<&[&str]>) -> DescribeConfigsResult {
    let resource = DescribeConfigsResource {
        resource_type: kind,
        resource_name: Str::from(name),
        configuration_keys: keys.map(|keys| keys.iter().map(|key| Str::from(*key)).collect()),
    };
    let request = DescribeConfigsRequest {
        resources: vec![resource],
        include_synonyms: true,
        include_documentation: true,
    };
    client.call(&request, 4).await.results.remove(0)
}

async fn value(client: &mut Client, kind: i8, name: &str, key: &str) -> DescribeConfigsResourceResult {
    let mut result = describe(client, kind, name, Some(&[key])).await;
    assert_eq!((result.error_code, result.configs.len()), (0, 1), "{key}");
    result.configs.remove(0)
}

async fn alter(
    client: &mut Client,
    kind: i8,
    name: &str,
    changes: &[(&str, i8, Option<&str>)],
) -> (ErrorCode, String) {
    let config = |(key, operation, value): &(&str, i8, Option<&str>)| AlterableConfig {
        name: Str::from(*key),
        config_operation: *operation,
        value: value.map(Str::from),
    };
    let resource = AlterConfigsResource {
        resource_type: kind,
        resource_name: Str::from(name),
        configs: changes.iter().map(config).collect(),
    };
    let request = IncrementalAlterConfigsRequest { resources: vec![resource], validate_only: false };
    let response = client.call(&request, 1).await.responses.remove(0);
    let message = response.error_message.map(|message| message.to_string()).unwrap_or_default();
    (ErrorCode::from_wire(response.error_code), message)
}

#[tokio::test]
async fn every_key_has_a_value_a_source_a_type_and_a_line() {
    let server = Server::with(&[("log.retention.hours", "5")]).await;
    let mut client = server.tcp().await;
    create_topic(&mut client, "t", 1, &[("cleanup.policy", "compact")]).await;
    let topic = describe(&mut client, TOPIC, "t", None).await;
    assert_eq!(topic.configs.len(), headwater_broker::config::topic_keys().len());
    assert!(topic.configs.iter().all(|config| config.documentation.is_some() && config.config_type > 0));
    let policy = value(&mut client, TOPIC, "t", "cleanup.policy").await;
    assert_eq!((policy.value.as_deref(), policy.config_source), (Some("compact"), 1));
    let retention = value(&mut client, TOPIC, "t", "retention.ms").await;
    assert_eq!((retention.value.as_deref(), retention.config_source), (Some("18000000"), 4));
    assert_eq!(&*retention.synonyms[0].name, "log.retention.hours");
    let broker = describe(&mut client, BROKER, "1", None).await;
    assert_eq!(broker.configs.len(), headwater_broker::config::broker_keys().len());
    let node_id = broker.configs.iter().find(|config| &*config.name == "node.id").unwrap();
    assert!(node_id.read_only);
    for (kind, name, expected) in [
        (TOPIC, "missing", ErrorCode::UnknownTopicOrPartition),
        (BROKER, "7", ErrorCode::InvalidRequest),
        (BROKER, "x", ErrorCode::InvalidRequest),
        (99, "t", ErrorCode::InvalidRequest),
    ] {
        let result = describe(&mut client, kind, name, None).await;
        assert_eq!(ErrorCode::from_wire(result.error_code), expected, "{kind} {name}");
    }
}

#[tokio::test]
async fn no_list_and_an_empty_list_of_keys_mean_all() {
    let server = Server::start().await;
    let mut client = server.tcp().await;
    create_topic(&mut client, "t", 1, &[]).await;
    for (kind, name) in [(TOPIC, "t"), (BROKER, "1")] {
        let all = describe(&mut client, kind, name, None).await;
        assert!(all.configs.len() > 20);
        assert_eq!(describe(&mut client, kind, name, Some(&[])).await, all);
        assert_eq!(describe(&mut client, kind, name, Some(&["no.such.key"])).await.configs, []);
    }
    let resource = DescribeConfigsResource {
        resource_type: TOPIC,
        resource_name: Str::from("t"),
        configuration_keys: None,
    };
    let request =
        DescribeConfigsRequest { resources: vec![resource; 50_000], ..DescribeConfigsRequest::default() };
    let told = client.call(&request, 4).await.results;
    let with_configs = told.iter().filter(|result| !result.configs.is_empty()).count();
    assert_eq!((told.len(), with_configs), (50_000, 1), "one full answer, however often it is asked for");
}

#[tokio::test]
async fn topic_configs_change_and_take_effect_at_once() {
    let server = Server::start().await;
    let mut client = server.tcp().await;
    create_topic(&mut client, "t", 1, &[]).await;
    let none = ErrorCode::None;
    assert_eq!(alter(&mut client, TOPIC, "t", &[("max.message.bytes", SET, Some("500"))]).await.0, none);
    let large = produce(&mut client, "t", 0, batch(&["x".repeat(600).as_str()])).await;
    assert_eq!(ErrorCode::from_wire(large.error_code), ErrorCode::MessageTooLarge);
    assert_eq!(alter(&mut client, TOPIC, "t", &[("max.message.bytes", DELETE, None)]).await.0, none);
    produce_ok(&mut client, "t", 0, batch(&["x".repeat(600).as_str()])).await;

    assert_eq!(alter(&mut client, TOPIC, "t", &[("cleanup.policy", APPEND, Some("compact"))]).await.0, none);
    assert_eq!(
        value(&mut client, TOPIC, "t", "cleanup.policy").await.value.as_deref(),
        Some("delete,compact")
    );
    assert_eq!(alter(&mut client, TOPIC, "t", &[("cleanup.policy", SUBTRACT, Some("delete"))]).await.0, none);
    let keyless = produce(&mut client, "t", 0, batch(&["x"])).await;
    assert_eq!(ErrorCode::from_wire(keyless.error_code), ErrorCode::InvalidRecord);
    let server = server.restart().await;
    let mut client = server.tcp().await;
    assert_eq!(value(&mut client, TOPIC, "t", "cleanup.policy").await.value.as_deref(), Some("compact"));
}

#[tokio::test]
async fn wrong_changes_name_the_key_and_what_was_expected() {
    let server = Server::start().await;
    let mut client = server.tcp().await;
    create_topic(&mut client, "t", 1, &[]).await;
    let cases = [
        (TOPIC, "t", ("segment.bytes", SET, Some("1048575")), ErrorCode::InvalidConfig),
        (TOPIC, "t", ("retention.ms", SET, Some("soon")), ErrorCode::InvalidConfig),
        (TOPIC, "t", ("no.such.key", SET, Some("1")), ErrorCode::InvalidConfig),
        (TOPIC, "t", ("retention.ms", APPEND, Some("1")), ErrorCode::InvalidConfig),
        (TOPIC, "t", ("retention.ms", 9, Some("1")), ErrorCode::InvalidRequest),
        (TOPIC, "missing", ("retention.ms", SET, Some("1")), ErrorCode::UnknownTopicOrPartition),
        (TOPIC, "bad name", ("retention.ms", SET, Some("1")), ErrorCode::InvalidTopicException),
        (TOPIC, "", ("retention.ms", SET, Some("1")), ErrorCode::InvalidRequest),
        (BROKER, "1", ("node.id", SET, Some("2")), ErrorCode::InvalidRequest),
        (BROKER, "1", ("log.segment.bytes", SET, Some("5")), ErrorCode::InvalidRequest),
    ];
    for (kind, name, change, expected) in cases {
        let (code, message) = alter(&mut client, kind, name, &[change]).await;
        assert_eq!(code, expected, "{change:?}: {message}");
        if expected == ErrorCode::InvalidConfig || kind == BROKER {
            assert!(message.contains(change.0), "{message}");
        }
    }
    let change = |value| AlterConfigsResource {
        resource_type: TOPIC,
        resource_name: Str::from("t"),
        configs: vec![AlterableConfig {
            name: Str::from("retention.ms"),
            config_operation: SET,
            value: Some(Str::from(value)),
        }],
    };
    let twice =
        IncrementalAlterConfigsRequest { resources: vec![change("1"), change("2")], validate_only: false };
    for response in client.call(&twice, 1).await.responses {
        assert_eq!(ErrorCode::from_wire(response.error_code), ErrorCode::InvalidRequest);
    }
    assert_eq!(value(&mut client, TOPIC, "t", "retention.ms").await.config_source, 5, "nothing has changed");
    for (name, expected) in [
        ("missing", ErrorCode::UnknownTopicOrPartition),
        ("bad name", ErrorCode::InvalidTopicException),
        ("", ErrorCode::InvalidTopicException),
    ] {
        let code = describe(&mut client, TOPIC, name, None).await.error_code;
        assert_eq!(ErrorCode::from_wire(code), expected, "{name}");
    }
}

#[tokio::test]
async fn broker_configs_change_for_one_and_for_all() {
    let server = Server::start().await;
    let mut client = server.tcp().await;
    create_topic(&mut client, "t", 1, &[]).await;
    let none = ErrorCode::None;
    assert_eq!(alter(&mut client, BROKER, "", &[("message.max.bytes", SET, Some("700"))]).await.0, none);
    let all = value(&mut client, TOPIC, "t", "max.message.bytes").await;
    assert_eq!((all.value.as_deref(), all.config_source), (Some("700"), 3));
    assert_eq!(alter(&mut client, BROKER, "1", &[("message.max.bytes", SET, Some("800"))]).await.0, none);
    let one = value(&mut client, TOPIC, "t", "max.message.bytes").await;
    assert_eq!((one.value.as_deref(), one.config_source), (Some("800"), 2));
    assert_eq!(describe(&mut client, BROKER, "", None).await.configs.len(), 1);
    let large = produce(&mut client, "t", 0, batch(&["x".repeat(900).as_str()])).await;
    assert_eq!(ErrorCode::from_wire(large.error_code), ErrorCode::MessageTooLarge);
}

#[tokio::test]
async fn the_older_way_resets_what_it_does_not_name() {
    let server = Server::start().await;
    let mut client = server.tcp().await;
    create_topic(&mut client, "t", 1, &[("retention.ms", "1000"), ("segment.ms", "2000")]).await;
    let config = LegacyConfig { name: Str::from("retention.ms"), value: Some(Str::from("3000")) };
    let resource =
        LegacyResource { resource_type: TOPIC, resource_name: Str::from("t"), configs: vec![config] };
    let mut request = AlterConfigsRequest { resources: vec![resource], validate_only: true };
    assert_eq!(client.call(&request, 2).await.responses[0].error_code, 0);
    assert_eq!(value(&mut client, TOPIC, "t", "retention.ms").await.value.as_deref(), Some("1000"));
    request.validate_only = false;
    assert_eq!(client.call(&request, 0).await.responses[0].error_code, 0);
    assert_eq!(value(&mut client, TOPIC, "t", "retention.ms").await.value.as_deref(), Some("3000"));
    assert_eq!(value(&mut client, TOPIC, "t", "segment.ms").await.config_source, 5);
}

/// `docs/configuration.md` is generated from the table; `HEADWATER_WRITE_DOCS=1` writes it anew.
#[test]
#[expect(clippy::disallowed_methods, reason = "the page lies in the source tree")]
fn the_reference_page_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
    let page = headwater_broker::config::reference_page();
    if std::env::var_os("HEADWATER_WRITE_DOCS").is_some() {
        std::fs::write(path, &page).unwrap();
    }
    let written = std::fs::read_to_string(path).unwrap_or_default();
    assert!(written == page, "docs/configuration.md is stale: run `make fix`");
}
