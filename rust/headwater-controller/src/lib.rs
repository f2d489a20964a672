//! Cluster metadata: what topics, partitions, configs, brokers and producer ids there are, agreed on by a quorum.
//!
//! ```text
//!   request ──▶ decide ──▶ records ──▶ propose ──▶ commit ──▶ replay ──▶ image ──▶ reply
//!              (pure)      (ours, on     (one raft   (fsync on   (the only    (immutable,
//!                           disk and      entry per    a majority)  thing that   swapped whole,
//!                           wire)         batch)                    changes it)  lock-free to read)
//! ```
//!
//! * `decide` holds one manager per concern. A manager looks at an image and a request and answers with records or
//!   with an error that names a Kafka code. It changes nothing and asks nobody for the time.
//! * `records` is the format of metadata on disk and between nodes. It is ours, versioned per record; the raft
//!   library's own serialisation is used nowhere, so that a new version of it never means new data.
//! * `image` is the state: small images behind `Arc`, joined in one [`MetadataImage`]. Only replaying a record makes
//!   a new one, while running and in recovery alike.
//! * `quorum` is the only module that knows openraft: log store, state machine, snapshots, the (still silent) network.
//! * [`Controller`] is the face: every operation answers after its records are committed *and* replayed here, so that
//!   whoever gets an answer finds it in [`Controller::image`].
//!
//! Operations that arrive together are decided one after the other against the same draft image and leave as one raft
//! entry: they share its fsync, and no decision is ever made on state that another one is about to change.
//!
//! One node is a group of one, with the formats of a group of many: raft ids are allocated per (node id, directory),
//! partitions carry leader and partition epochs, ISR, ELR and directory ids.
//!
//! What this crate does not know: requests and their versions, which configuration keys exist (a [`ConfigPolicy`]
//! says), partition logs, heartbeats and sessions of brokers, authorisation.

mod controller;
mod decide;
mod draft;
mod error;
#[cfg(fuzzing)]
pub mod fuzzing;
mod image;
mod quorum;
mod records;

pub use controller::{Controller, ControllerOptions, METADATA_DIRECTORY, Status};
pub use decide::brokers::BrokerRegistration;
pub use decide::configs::{
    AcceptAnyConfig, ConfigChange, ConfigOperation, ConfigOperationKind, ConfigPolicy,
};
pub use decide::isr::{AlterPartition, IsrMember};
pub use decide::names::check as check_topic_name;
pub use decide::producer_ids::PRODUCER_ID_BLOCK_SIZE;
pub use decide::topics::{
    NewPartitions, NewTopic, PARTITIONS_PER_REQUEST_MAX, PartitionAssignment, TopicRef,
};
pub use error::{
    BrokerError, ConfigError, OpenError, PartitionError, ProducerIdError, ProposeError, TopicError,
};
pub use image::{
    BrokerImage, BrokersImage, ConfigResource, ConfigResourceKind, ConfigsImage, Endpoint, FeaturesImage,
    MetadataImage, NO_LEADER, PartitionImage, TopicImage, TopicsImage,
};
