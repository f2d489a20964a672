//! [`ErrorCode`]: how a response says what went wrong. All codes of Kafka 4.3, in one table.

use std::fmt;

macro_rules! codes {
    ($($number:literal $variant:ident $name:ident $retriable:ident $message:literal;)*) => {
        /// An error code of the protocol. [`None`](ErrorCode::None) is success.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(i16)]
        pub enum ErrorCode {
            $(#[doc = concat!("`", stringify!($name), "`: ", $message, ".")] $variant = $number,)*
        }

        impl ErrorCode {
            /// Every code, by number.
            pub const ALL: &'static [ErrorCode] = &[$(ErrorCode::$variant,)*];

            /// The code of this number; `None` for a number that Kafka 4.3 does not have.
            pub const fn from_i16(number: i16) -> Option<ErrorCode> {
                Some(match number {
                    $($number => ErrorCode::$variant,)*
                    _ => return None,
                })
            }

            /// Kafka's name, `UNKNOWN_TOPIC_OR_PARTITION` for instance.
            pub const fn name(self) -> &'static str {
                match self {
                    $(ErrorCode::$variant => stringify!($name),)*
                }
            }

            /// One sentence, without capital and full stop.
            pub const fn message(self) -> &'static str {
                match self {
                    $(ErrorCode::$variant => $message,)*
                }
            }

            /// Whether the same request may succeed later, perhaps after a look at fresh metadata.
            pub const fn is_retriable(self) -> bool {
                match self {
                    $(ErrorCode::$variant => codes!(@ $retriable),)*
                }
            }
        }
    };
    (@ retry) => { true };
    (@ fail) => { false };
}

#[rustfmt::skip] // One line per code.
codes! {
    -1 UnknownServerError UNKNOWN_SERVER_ERROR fail "the server failed in a way it did not expect";
    0 None NONE fail "no error";
    1 OffsetOutOfRange OFFSET_OUT_OF_RANGE fail "the offset lies outside of what the partition holds";
    2 CorruptMessage CORRUPT_MESSAGE retry "the record batch is damaged: its checksum or its structure is wrong";
    3 UnknownTopicOrPartition UNKNOWN_TOPIC_OR_PARTITION retry "this broker does not have the topic or partition";
    4 InvalidFetchSize INVALID_FETCH_SIZE fail "the size to fetch is not valid";
    5 LeaderNotAvailable LEADER_NOT_AVAILABLE retry "the partition has no leader at the moment";
    6 NotLeaderOrFollower NOT_LEADER_OR_FOLLOWER retry "this broker does not lead the partition, or holds no replica of it";
    7 RequestTimedOut REQUEST_TIMED_OUT retry "the request was not completed in its time";
    8 BrokerNotAvailable BROKER_NOT_AVAILABLE fail "the broker is not available";
    9 ReplicaNotAvailable REPLICA_NOT_AVAILABLE retry "the replica is not available on this broker";
    10 MessageTooLarge MESSAGE_TOO_LARGE fail "the record or batch is larger than the topic allows";
    11 StaleControllerEpoch STALE_CONTROLLER_EPOCH fail "the controller has moved on to a newer epoch";
    12 OffsetMetadataTooLarge OFFSET_METADATA_TOO_LARGE fail "the text stored with the offset is too long";
    13 NetworkException NETWORK_EXCEPTION retry "the connection was lost before the answer came";
    14 CoordinatorLoadInProgress COORDINATOR_LOAD_IN_PROGRESS retry "the coordinator is still reading its state";
    15 CoordinatorNotAvailable COORDINATOR_NOT_AVAILABLE retry "the coordinator is not available";
    16 NotCoordinator NOT_COORDINATOR retry "this broker is not the coordinator";
    17 InvalidTopicException INVALID_TOPIC_EXCEPTION fail "the topic's name or the operation on this topic is not allowed";
    18 RecordListTooLarge RECORD_LIST_TOO_LARGE fail "the batch is larger than a segment may be";
    19 NotEnoughReplicas NOT_ENOUGH_REPLICAS retry "fewer replicas are in sync than `min.insync.replicas` asks for";
    20 NotEnoughReplicasAfterAppend NOT_ENOUGH_REPLICAS_AFTER_APPEND retry "the records were written, but to fewer replicas than asked for";
    21 InvalidRequiredAcks INVALID_REQUIRED_ACKS fail "acks must be -1, 0 or 1";
    22 IllegalGeneration ILLEGAL_GENERATION fail "the group has another generation";
    23 InconsistentGroupProtocol INCONSISTENT_GROUP_PROTOCOL fail "the member's protocol type or protocols do not fit those of the group";
    24 InvalidGroupId INVALID_GROUP_ID fail "the group id is not valid";
    25 UnknownMemberId UNKNOWN_MEMBER_ID fail "the group has no such member";
    26 InvalidSessionTimeout INVALID_SESSION_TIMEOUT fail "the session timeout is outside of what the broker allows";
    27 RebalanceInProgress REBALANCE_IN_PROGRESS fail "the group is rebalancing, so the member has to join again";
    28 InvalidCommitOffsetSize INVALID_COMMIT_OFFSET_SIZE fail "the offsets to commit do not fit into a record";
    29 TopicAuthorizationFailed TOPIC_AUTHORIZATION_FAILED fail "not authorized for the topic";
    30 GroupAuthorizationFailed GROUP_AUTHORIZATION_FAILED fail "not authorized for the group";
    31 ClusterAuthorizationFailed CLUSTER_AUTHORIZATION_FAILED fail "not authorized for the cluster";
    32 InvalidTimestamp INVALID_TIMESTAMP fail "the timestamp is outside of what the topic accepts";
    33 UnsupportedSaslMechanism UNSUPPORTED_SASL_MECHANISM fail "the broker does not offer this SASL mechanism";
    34 IllegalSaslState ILLEGAL_SASL_STATE fail "the request does not fit the state of the authentication";
    35 UnsupportedVersion UNSUPPORTED_VERSION fail "the version of the request is not supported";
    36 TopicAlreadyExists TOPIC_ALREADY_EXISTS fail "a topic of this name exists";
    37 InvalidPartitions INVALID_PARTITIONS fail "the number of partitions is not valid";
    38 InvalidReplicationFactor INVALID_REPLICATION_FACTOR fail "the replication factor is below one or above the number of brokers";
    39 InvalidReplicaAssignment INVALID_REPLICA_ASSIGNMENT fail "the assignment of replicas is not valid";
    40 InvalidConfig INVALID_CONFIG fail "the configuration is not valid";
    41 NotController NOT_CONTROLLER retry "this node is not the controller";
    42 InvalidRequest INVALID_REQUEST fail "the request contradicts itself or lacks something";
    43 UnsupportedForMessageFormat UNSUPPORTED_FOR_MESSAGE_FORMAT fail "the record format does not support this";
    44 PolicyViolation POLICY_VIOLATION fail "a policy of the cluster forbids this";
    45 OutOfOrderSequenceNumber OUT_OF_ORDER_SEQUENCE_NUMBER fail "the batch does not follow the producer's last one";
    46 DuplicateSequenceNumber DUPLICATE_SEQUENCE_NUMBER fail "the batch was already written";
    47 InvalidProducerEpoch INVALID_PRODUCER_EPOCH fail "the producer's epoch is older than the current one";
    48 InvalidTxnState INVALID_TXN_STATE fail "the transaction's state does not allow this";
    49 InvalidProducerIdMapping INVALID_PRODUCER_ID_MAPPING fail "the producer id is not the one of the transactional id";
    50 InvalidTransactionTimeout INVALID_TRANSACTION_TIMEOUT fail "the transaction timeout is above what the broker allows";
    51 ConcurrentTransactions CONCURRENT_TRANSACTIONS retry "the producer's previous transaction is not completed yet";
    52 TransactionCoordinatorFenced TRANSACTION_COORDINATOR_FENCED fail "a newer transaction coordinator has taken over";
    53 TransactionalIdAuthorizationFailed TRANSACTIONAL_ID_AUTHORIZATION_FAILED fail "not authorized for the transactional id";
    54 SecurityDisabled SECURITY_DISABLED fail "security is not switched on";
    55 OperationNotAttempted OPERATION_NOT_ATTEMPTED fail "not attempted, because an earlier part of the request failed";
    56 KafkaStorageError KAFKA_STORAGE_ERROR retry "the disk failed under the partition";
    57 LogDirNotFound LOG_DIR_NOT_FOUND fail "the broker has no such log directory";
    58 SaslAuthenticationFailed SASL_AUTHENTICATION_FAILED fail "authentication failed";
    59 UnknownProducerId UNKNOWN_PRODUCER_ID fail "nothing is known of this producer any more";
    60 ReassignmentInProgress REASSIGNMENT_IN_PROGRESS fail "the partition is being reassigned";
    61 DelegationTokenAuthDisabled DELEGATION_TOKEN_AUTH_DISABLED fail "delegation tokens are not switched on";
    62 DelegationTokenNotFound DELEGATION_TOKEN_NOT_FOUND fail "there is no such delegation token";
    63 DelegationTokenOwnerMismatch DELEGATION_TOKEN_OWNER_MISMATCH fail "the principal neither owns nor renews the delegation token";
    64 DelegationTokenRequestNotAllowed DELEGATION_TOKEN_REQUEST_NOT_ALLOWED fail "delegation tokens cannot be managed over this kind of connection";
    65 DelegationTokenAuthorizationFailed DELEGATION_TOKEN_AUTHORIZATION_FAILED fail "not authorized for the delegation token";
    66 DelegationTokenExpired DELEGATION_TOKEN_EXPIRED fail "the delegation token has expired";
    67 InvalidPrincipalType INVALID_PRINCIPAL_TYPE fail "the kind of principal is not supported";
    68 NonEmptyGroup NON_EMPTY_GROUP fail "the group still has members";
    69 GroupIdNotFound GROUP_ID_NOT_FOUND fail "there is no such group";
    70 FetchSessionIdNotFound FETCH_SESSION_ID_NOT_FOUND retry "there is no such fetch session";
    71 InvalidFetchSessionEpoch INVALID_FETCH_SESSION_EPOCH retry "the fetch session is at another epoch";
    72 ListenerNotFound LISTENER_NOT_FOUND retry "the leader has no listener of the name this request came in by";
    73 TopicDeletionDisabled TOPIC_DELETION_DISABLED fail "topics cannot be deleted here";
    74 FencedLeaderEpoch FENCED_LEADER_EPOCH retry "the leader epoch is older than the broker's";
    75 UnknownLeaderEpoch UNKNOWN_LEADER_EPOCH retry "the leader epoch is newer than the broker's";
    76 UnsupportedCompressionType UNSUPPORTED_COMPRESSION_TYPE fail "the client's version cannot read this compression";
    77 StaleBrokerEpoch STALE_BROKER_EPOCH fail "the broker has registered again since";
    78 OffsetNotAvailable OFFSET_NOT_AVAILABLE retry "a new leader does not know its high watermark yet";
    79 MemberIdRequired MEMBER_ID_REQUIRED fail "the member has to join again with the id it was given";
    80 PreferredLeaderNotAvailable PREFERRED_LEADER_NOT_AVAILABLE retry "the preferred leader is not available";
    81 GroupMaxSizeReached GROUP_MAX_SIZE_REACHED fail "the group is full";
    82 FencedInstanceId FENCED_INSTANCE_ID fail "another member has joined with the same instance id";
    83 EligibleLeadersNotAvailable ELIGIBLE_LEADERS_NOT_AVAILABLE retry "no replica that may lead is available";
    84 ElectionNotNeeded ELECTION_NOT_NEEDED retry "the partition already has the leader that was asked for";
    85 NoReassignmentInProgress NO_REASSIGNMENT_IN_PROGRESS fail "the partition is not being reassigned";
    86 GroupSubscribedToTopic GROUP_SUBSCRIBED_TO_TOPIC fail "the group still reads the topic, so its offsets stay";
    87 InvalidRecord INVALID_RECORD fail "a record breaks a rule of the topic";
    88 UnstableOffsetCommit UNSTABLE_OFFSET_COMMIT retry "an open transaction may still change the offset";
    89 ThrottlingQuotaExceeded THROTTLING_QUOTA_EXCEEDED retry "the quota is used up for now";
    90 ProducerFenced PRODUCER_FENCED fail "a newer producer with the same transactional id has taken over";
    91 ResourceNotFound RESOURCE_NOT_FOUND fail "there is no such resource";
    92 DuplicateResource DUPLICATE_RESOURCE fail "the resource exists already or is named twice";
    93 UnacceptableCredential UNACCEPTABLE_CREDENTIAL fail "the credential does not meet the requirements";
    94 InconsistentVoterSet INCONSISTENT_VOTER_SET fail "the sender's voters are not the receiver's";
    95 InvalidUpdateVersion INVALID_UPDATE_VERSION fail "the version to update to is not valid";
    96 FeatureUpdateFailed FEATURE_UPDATE_FAILED fail "the features could not be changed";
    97 PrincipalDeserializationFailure PRINCIPAL_DESERIALIZATION_FAILURE fail "the forwarded principal could not be read";
    98 SnapshotNotFound SNAPSHOT_NOT_FOUND fail "there is no such snapshot";
    99 PositionOutOfRange POSITION_OUT_OF_RANGE fail "the position lies outside of the snapshot";
    100 UnknownTopicId UNKNOWN_TOPIC_ID retry "this broker has no topic with this id";
    101 DuplicateBrokerRegistration DUPLICATE_BROKER_REGISTRATION fail "another broker is registered with this id";
    102 BrokerIdNotRegistered BROKER_ID_NOT_REGISTERED fail "no broker is registered with this id";
    103 InconsistentTopicId INCONSISTENT_TOPIC_ID retry "the topic's id is another one than in the log";
    104 InconsistentClusterId INCONSISTENT_CLUSTER_ID fail "the request is meant for another cluster";
    105 TransactionalIdNotFound TRANSACTIONAL_ID_NOT_FOUND fail "there is no such transactional id";
    106 FetchSessionTopicIdError FETCH_SESSION_TOPIC_ID_ERROR retry "the fetch session mixes topic names and topic ids";
    107 IneligibleReplica INELIGIBLE_REPLICA fail "the replica may not join the in-sync replicas";
    108 NewLeaderElected NEW_LEADER_ELECTED fail "the change to the in-sync replicas led to a new leader";
    109 OffsetMovedToTieredStorage OFFSET_MOVED_TO_TIERED_STORAGE fail "the offset is in tiered storage";
    110 FencedMemberEpoch FENCED_MEMBER_EPOCH fail "the member's epoch is not the group's, so it has to join again";
    111 UnreleasedInstanceId UNRELEASED_INSTANCE_ID fail "the member that holds the instance id has not left";
    112 UnsupportedAssignor UNSUPPORTED_ASSIGNOR fail "the group's coordinator does not offer this assignor";
    113 StaleMemberEpoch STALE_MEMBER_EPOCH fail "the member's epoch is out of date, a heartbeat brings the new one";
    114 MismatchedEndpointType MISMATCHED_ENDPOINT_TYPE fail "the request went to the wrong kind of endpoint";
    115 UnsupportedEndpointType UNSUPPORTED_ENDPOINT_TYPE fail "this kind of endpoint is not supported";
    116 UnknownControllerId UNKNOWN_CONTROLLER_ID fail "there is no such controller";
    117 UnknownSubscriptionId UNKNOWN_SUBSCRIPTION_ID fail "the telemetry subscription is not the current one";
    118 TelemetryTooLarge TELEMETRY_TOO_LARGE fail "the telemetry is larger than the broker accepts";
    119 InvalidRegistration INVALID_REGISTRATION fail "the registration is not valid";
    120 TransactionAbortable TRANSACTION_ABORTABLE fail "the transaction can only be aborted";
    121 InvalidRecordState INVALID_RECORD_STATE fail "the record is not in a state that allows this acknowledgement";
    122 ShareSessionNotFound SHARE_SESSION_NOT_FOUND retry "there is no such share session";
    123 InvalidShareSessionEpoch INVALID_SHARE_SESSION_EPOCH retry "the share session is at another epoch";
    124 FencedStateEpoch FENCED_STATE_EPOCH fail "the share coordinator has a newer state epoch";
    125 InvalidVoterKey INVALID_VOTER_KEY fail "the voter's key is not the receiver's";
    126 DuplicateVoter DUPLICATE_VOTER fail "the voter is in the set already";
    127 VoterNotFound VOTER_NOT_FOUND fail "the voter is not in the set";
    128 InvalidRegularExpression INVALID_REGULAR_EXPRESSION fail "the regular expression is not valid";
    129 RebootstrapRequired REBOOTSTRAP_REQUIRED fail "the client has to start over from its bootstrap servers";
    130 StreamsInvalidTopology STREAMS_INVALID_TOPOLOGY fail "the topology of the Streams application is not valid";
    131 StreamsInvalidTopologyEpoch STREAMS_INVALID_TOPOLOGY_EPOCH fail "the topology epoch is not valid";
    132 StreamsTopologyFenced STREAMS_TOPOLOGY_FENCED fail "the topology epoch is out of date";
    133 ShareSessionLimitReached SHARE_SESSION_LIMIT_REACHED retry "no more share sessions can be opened";
}

impl ErrorCode {
    /// The code of this number, or [`UnknownServerError`](ErrorCode::UnknownServerError) when it is not known.
    pub fn from_wire(number: i16) -> ErrorCode {
        ErrorCode::from_i16(number).unwrap_or(ErrorCode::UnknownServerError)
    }

    /// The number.
    pub const fn code(self) -> i16 {
        self as i16
    }

    /// Whether this is an error.
    pub fn is_error(self) -> bool {
        self != ErrorCode::None
    }
}

impl From<ErrorCode> for i16 {
    fn from(code: ErrorCode) -> i16 {
        code as i16
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.name(), self.message())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_names_and_retries_are_kafkas() {
        assert_eq!(ErrorCode::ALL.len(), 135);
        for (index, code) in ErrorCode::ALL.iter().enumerate() {
            assert_eq!(code.code(), index as i16 - 1);
            assert_eq!(ErrorCode::from_i16(code.code()), Some(*code));
            let name: String = code.name().split('_').map(capitalized).collect();
            assert_eq!(name, format!("{code:?}"));
        }
        assert_eq!(ErrorCode::from_i16(134), None);
        assert_eq!(ErrorCode::from_wire(-32768), ErrorCode::UnknownServerError);
        assert!(
            ErrorCode::NotLeaderOrFollower.is_retriable() && !ErrorCode::InvalidTopicException.is_retriable()
        );
    }

    fn capitalized(word: &str) -> String {
        format!("{}{}", &word[..1], word[1..].to_lowercase())
    }
}
