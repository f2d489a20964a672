//! `headwater topic alter`

use crate::arguments::{examples, key_value};
use crate::connect::Connect;
use crate::failure::{Failure, say};
use crate::session::Session;
use clap::Args;
use headwater_client::admin::{ConfigChange, ConfigResource};
use std::collections::BTreeMap;

/// Change settings of a topic, or give it more partitions
///
/// Partitions can be added and never taken away. Records with a key go elsewhere afterwards: the partition of a key
/// depends on how many partitions there are.
#[derive(Debug, Args)]
#[command(
    group = clap::ArgGroup::new("change").required(true).multiple(true).args(["partitions", "config", "reset"]),
    after_help = examples!(
        "headwater topic alter flights -c retention.ms=-1",
        "headwater topic alter flights --reset retention.ms",
        "headwater topic alter flights --partitions 12",
    )
)]
pub(crate) struct Alter {
    /// Name of the topic
    topic: String,
    /// Number of partitions it should have
    #[arg(short, long, value_name = "COUNT", value_parser = clap::value_parser!(i32).range(1..))]
    partitions: Option<i32>,
    /// Setting to change; may be repeated
    #[arg(short, long = "config", value_name = "KEY=VALUE", value_parser = key_value)]
    config: Vec<(String, String)>,
    /// Setting to put back to its default; may be repeated
    #[arg(long, value_name = "KEY")]
    reset: Vec<String>,
    #[command(flatten)]
    connect: Connect,
}

impl Alter {
    pub(super) async fn run(&self, session: &Session) -> Result<(), Failure> {
        let admin = self.connect.admin(session).await?;
        let sets = self.config.iter().map(|(key, value)| ConfigChange::Set(key.clone(), value.clone()));
        let resets = self.reset.iter().map(|key| ConfigChange::Delete(key.clone()));
        let changes: Vec<ConfigChange> = sets.chain(resets).collect();
        let count = changes.len();
        if count > 0 {
            let changes = BTreeMap::from([(ConfigResource::Topic(self.topic.clone()), changes)]);
            admin.alter_configs(&changes, false).await?.into_values().collect::<Result<(), _>>()?;
            let settings = if count == 1 { "1 setting".to_owned() } else { format!("{count} settings") };
            say(&format!("changed {settings} of `{}`", self.topic));
        }
        if let Some(partitions) = self.partitions {
            let counts = BTreeMap::from([(self.topic.clone(), partitions.into())]);
            admin.create_partitions(&counts, false).await?.into_values().collect::<Result<(), _>>()?;
            say(&format!("`{}` has {partitions} partitions now", self.topic));
        }
        Ok(())
    }
}
