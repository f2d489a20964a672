//! Groups, their members, and their committed offsets.

use super::{Admin, Each, GroupDescription, GroupListing, MemberDescription, MemberName};
use crate::client::Destination;
use crate::consumer::assignment_of;
use crate::error::ClientError;
use crate::metadata::Scope;
use crate::offsets::{self, Committer, OffsetAndMetadata};
use futures_util::future::join_all;
use headwater_protocol::Str;
use headwater_protocol::messages::delete_groups::DeleteGroupsRequest;
use headwater_protocol::messages::describe_groups::{DescribeGroupsRequest, DescribedGroup};
use headwater_protocol::messages::leave_group::{LeaveGroupRequest, MemberIdentity};
use headwater_protocol::messages::list_groups::ListGroupsRequest;
use headwater_protocol::messages::offset_delete::{
    OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use headwater_record::TopicPartition;
use std::collections::{BTreeMap, BTreeSet};

impl Admin {
    /// The groups of all brokers, by id.
    pub async fn list_groups(&self) -> Result<Vec<GroupListing>, ClientError> {
        let image = self.client.fetch_metadata(Scope::Topics(BTreeSet::new()), self.limit()).await?;
        let doing = || "listing groups".to_owned();
        let asked = image.nodes.keys().map(|node| async move {
            self.client.retrying(self.limit(), &doing, || self.list_groups_at(*node)).await
        });
        let mut groups = Vec::new();
        for part in join_all(asked).await {
            groups.extend(part?);
        }
        groups.sort_by(|one, other| one.group_id.cmp(&other.group_id));
        groups.dedup_by(|one, other| one.group_id == other.group_id);
        Ok(groups)
    }

    async fn list_groups_at(&self, node: i32) -> Result<Vec<GroupListing>, ClientError> {
        let answer = self.client.send(&Destination::Node(node), ListGroupsRequest::default()).await?;
        ClientError::check(answer.error_code, || format!("groups of broker {node}"))?;
        let group = |group: &headwater_protocol::messages::list_groups::ListedGroup| GroupListing {
            group_id: group.group_id.to_string(),
            protocol_type: group.protocol_type.to_string(),
            state: group.group_state.to_string(),
            group_type: group.group_type.to_string(),
        };
        Ok(answer.groups.iter().map(group).collect())
    }

    /// Groups and their members.
    pub async fn describe_groups(
        &self,
        groups: &[&str],
    ) -> Result<Each<String, GroupDescription>, ClientError> {
        let asked = groups.iter().map(|group| async move {
            let doing = || format!("describing group {group}");
            let attempt = || self.describe_group(group);
            ((*group).to_owned(), self.client.retrying_group(group, self.limit(), &doing, attempt).await)
        });
        Ok(join_all(asked).await.into_iter().collect())
    }

    async fn describe_group(&self, group: &str) -> Result<GroupDescription, ClientError> {
        let request = DescribeGroupsRequest { groups: vec![Str::from(group)], ..Default::default() };
        let to = Destination::Group(group.to_owned());
        let answer = self.client.send(&to, request).await?;
        let described = answer.groups.first().ok_or_else(|| ClientError::Malformed {
            node: "the coordinator".into(),
            api: "DescribeGroups",
            reason: format!("nothing about {group}"),
        })?;
        let message = described.error_message.as_deref();
        ClientError::check_with(described.error_code, message, || format!("group {group}"))?;
        let coordinator = self.client.coordinator_node(group);
        Ok(GroupDescription { coordinator, ..describe(described) })
    }

    /// Deletes groups that have no members.
    pub async fn delete_groups(&self, groups: &[&str]) -> Result<Each<String, ()>, ClientError> {
        let asked = groups.iter().map(|group| async move {
            let doing = || format!("deleting group {group}");
            let attempt = || async {
                let request = DeleteGroupsRequest { groups_names: vec![Str::from(*group)] };
                let answer = self.client.send(&Destination::Group((*group).to_owned()), request).await?;
                answer
                    .results
                    .iter()
                    .try_for_each(|result| ClientError::check(result.error_code, || format!("group {group}")))
            };
            ((*group).to_owned(), self.client.retrying_group(group, self.limit(), &doing, attempt).await)
        });
        Ok(join_all(asked).await.into_iter().collect())
    }

    /// Takes members out of a group; their partitions go to the others at once. Needs a broker of 2.3 or newer, as static
    /// members do (KIP-345).
    pub async fn remove_group_members(
        &self,
        group: &str,
        members: &[MemberName],
        reason: &str,
    ) -> Result<Each<MemberName, ()>, ClientError> {
        let doing = || format!("removing members of group {group}");
        let attempt = || self.remove_members_once(group, members, reason);
        self.client.retrying_group(group, self.limit(), &doing, attempt).await
    }

    async fn remove_members_once(
        &self,
        group: &str,
        members: &[MemberName],
        reason: &str,
    ) -> Result<Each<MemberName, ()>, ClientError> {
        let leaving = |member: &MemberName| {
            let reason = Some(Str::from(reason));
            match member {
                MemberName::Id(id) => {
                    MemberIdentity { member_id: Str::from(id.as_str()), reason, ..Default::default() }
                }
                MemberName::Instance(id) => MemberIdentity {
                    group_instance_id: Some(Str::from(id.as_str())),
                    reason,
                    ..Default::default()
                },
            }
        };
        let request = LeaveGroupRequest {
            group_id: Str::from(group),
            members: members.iter().map(leaving).collect(),
            ..Default::default()
        };
        let answer = self.client.send(&Destination::Group(group.to_owned()), request).await?;
        ClientError::check(answer.error_code, || format!("members of group {group}"))?;
        if answer.members.len() != members.len() {
            return Err(ClientError::Malformed {
                node: "the coordinator".into(),
                api: "LeaveGroup",
                reason: format!("{} answers for {} members", answer.members.len(), members.len()),
            });
        }
        // Answers come in the order of the members; a static one is answered with the id that it had.
        let outcomes = members.iter().zip(&answer.members).map(|(member, left)| {
            (member.clone(), ClientError::check(left.error_code, || format!("{member} of group {group}")))
        });
        Ok(outcomes.collect())
    }

    /// Committed offsets of a group: of all partitions that have one, or of these (`None`: nothing committed).
    pub async fn list_group_offsets(
        &self,
        group: &str,
        partitions: Option<&[TopicPartition]>,
    ) -> Result<BTreeMap<TopicPartition, Option<OffsetAndMetadata>>, ClientError> {
        let wanted: Option<BTreeSet<TopicPartition>> = partitions.map(|list| list.iter().cloned().collect());
        let found = offsets::committed(&self.client, group, wanted.as_ref(), self.limit()).await?;
        let mut all: BTreeMap<_, _> =
            wanted.into_iter().flatten().map(|partition| (partition, None)).collect();
        all.extend(found.into_iter().map(|(partition, committed)| (partition, Some(committed))));
        Ok(all)
    }

    /// Sets committed offsets of a group without members.
    pub async fn alter_group_offsets(
        &self,
        group: &str,
        offsets: &BTreeMap<TopicPartition, OffsetAndMetadata>,
    ) -> Result<Each<TopicPartition, ()>, ClientError> {
        let doing = || format!("altering offsets of group {group}");
        let nobody = Committer::nobody();
        let attempt = || offsets::commit_once(&self.client, group, &nobody, offsets);
        self.client.retrying_group(group, self.limit(), &doing, attempt).await
    }

    /// Forgets committed offsets of a group.
    pub async fn delete_group_offsets(
        &self,
        group: &str,
        partitions: &[TopicPartition],
    ) -> Result<Each<TopicPartition, ()>, ClientError> {
        let doing = || format!("deleting offsets of group {group}");
        let attempt = || self.delete_offsets_once(group, partitions);
        self.client.retrying_group(group, self.limit(), &doing, attempt).await
    }

    async fn delete_offsets_once(
        &self,
        group: &str,
        partitions: &[TopicPartition],
    ) -> Result<Each<TopicPartition, ()>, ClientError> {
        let mut by_topic: BTreeMap<&str, Vec<OffsetDeleteRequestPartition>> = BTreeMap::new();
        for partition in partitions {
            let entry = OffsetDeleteRequestPartition { partition_index: partition.partition };
            by_topic.entry(&partition.topic).or_default().push(entry);
        }
        let topic =
            |(name, partitions): (&str, Vec<_>)| OffsetDeleteRequestTopic { name: name.into(), partitions };
        let topics = by_topic.into_iter().map(topic).collect();
        let request = OffsetDeleteRequest { group_id: group.into(), topics };
        let answer = self.client.send(&Destination::Group(group.to_owned()), request).await?;
        ClientError::check(answer.error_code, || format!("offsets of group {group}"))?;
        let mut outcomes = Each::new();
        for topic in &answer.topics {
            for partition in &topic.partitions {
                let key = TopicPartition::new(&*topic.name, partition.partition_index);
                let outcome = ClientError::check(partition.error_code, || format!("{key} in group {group}"));
                outcomes.insert(key, outcome);
            }
        }
        Ok(outcomes)
    }
}

fn describe(group: &DescribedGroup) -> GroupDescription {
    let consumer = &*group.protocol_type == "consumer";
    let member =
        |member: &headwater_protocol::messages::describe_groups::DescribedGroupMember| MemberDescription {
            member_id: member.member_id.to_string(),
            group_instance_id: member.group_instance_id.as_deref().map(str::to_owned),
            client_id: member.client_id.to_string(),
            client_host: member.client_host.to_string(),
            assignment: if consumer { assignment_of(&member.member_assignment) } else { Vec::new() },
        };
    GroupDescription {
        group_id: group.group_id.to_string(),
        state: group.group_state.to_string(),
        protocol_type: group.protocol_type.to_string(),
        protocol: group.protocol_data.to_string(),
        coordinator: None,
        members: group.members.iter().map(member).collect(),
    }
}
