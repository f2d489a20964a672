//! `Admin`: topics, settings, groups and offsets.

use crate::config::{pairs, text_map};
use crate::errors::{Class, IntoPyErr, misuse};
use crate::hints;
use crate::names::{self, by_partition, make, read_partition, read_partitions};
use crate::places::{read_isolation, read_place};
use crate::runtime::{Birthplace, env};
use crate::settings::{config_value, read_changes};
use crate::target;
use crate::values::ValueOptions;
use crate::wait::{seconds, wait};
use headwater_client::admin::{
    ConfigChange, ConfigResource, Each, GroupDescription, MemberName, NewPartitions, NewTopic, OffsetSpec,
    TopicDescription,
};
use headwater_client::{
    AdminConfig, ClientError, IsolationLevel, Node, OffsetAndMetadata, PartitionMetadata, Runtime,
};
use headwater_protocol::ErrorCode;
use headwater_record::TopicPartition;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use std::collections::BTreeMap;

/// Administers a cluster; see the stub for the documentation of each method.
#[pyclass(frozen, module = "headwater")]
pub(crate) struct Admin {
    inner: headwater_client::Admin,
    target: Py<PyAny>,
    born: Birthplace,
}

#[pymethods]
impl Admin {
    #[new]
    #[pyo3(signature = (target, **config))]
    fn new(target: &Bound<'_, PyAny>, config: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let py = target.py();
        let settings = AdminConfig::from_pairs(pairs(config)?).map_err(|error| error.into_py_err(py))?;
        let inner = headwater_client::Admin::new(Runtime::new(env()?), target::bootstrap(target)?, settings)
            .map_err(|error| error.into_py_err(py))?;
        Ok(Self { inner, target: target.clone().unbind(), born: Birthplace::here() })
    }

    #[pyo3(signature = (
        name, *, partitions=None, replication_factor=None, assignment=None, config=None, validate_only=false
    ))]
    #[expect(clippy::too_many_arguments, reason = "what a topic is made of")]
    fn create_topic(
        &self,
        py: Python<'_>,
        name: &str,
        partitions: Option<i32>,
        replication_factor: Option<i16>,
        assignment: Option<BTreeMap<i32, Vec<i32>>>,
        config: Option<&Bound<'_, PyDict>>,
        validate_only: bool,
    ) -> PyResult<()> {
        self.born.check("Admin")?;
        let topic = NewTopic {
            name: name.to_owned(),
            partitions,
            replication_factor,
            assignment: assignment.unwrap_or_default(),
            configs: text_map(config)?,
        };
        let created = wait(py, self.inner.create_topics(&[topic], validate_only))?;
        every(py, created).map(|_| ())
    }

    fn delete_topics(&self, py: Python<'_>, names: &Bound<'_, PyAny>) -> PyResult<()> {
        self.born.check("Admin")?;
        let names = one_or_many(names)?;
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        every(py, wait(py, self.inner.delete_topics(&names))?).map(|_| ())
    }

    #[pyo3(signature = (*, internal=false))]
    fn list_topics(&self, py: Python<'_>, internal: bool) -> PyResult<Vec<String>> {
        self.born.check("Admin")?;
        let topics = wait(py, self.inner.list_topics(internal))?;
        Ok(topics.into_iter().map(|topic| topic.name).collect())
    }

    fn describe_topic<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
        self.born.check("Admin")?;
        let described = every(py, wait(py, self.inner.describe_topics(&[name]))?)?;
        topic_description(py, only(py, described)?)
    }

    #[pyo3(signature = (topic, count, *, assignment=None, validate_only=false))]
    fn create_partitions(
        &self,
        py: Python<'_>,
        topic: String,
        count: i32,
        assignment: Option<Vec<Vec<i32>>>,
        validate_only: bool,
    ) -> PyResult<()> {
        self.born.check("Admin")?;
        let wanted = BTreeMap::from([(topic, NewPartitions { count, assignment })]);
        every(py, wait(py, self.inner.create_partitions(&wanted, validate_only))?).map(|_| ())
    }

    fn delete_records<'py>(
        &self,
        py: Python<'py>,
        before: &Bound<'_, PyDict>,
    ) -> PyResult<Bound<'py, PyDict>> {
        self.born.check("Admin")?;
        let before = before
            .iter()
            .map(|(partition, offset)| Ok((read_partition(&partition)?, offset.extract()?)))
            .collect::<PyResult<BTreeMap<TopicPartition, i64>>>()?;
        let starts = every(py, wait(py, self.inner.delete_records(&before))?)?;
        by_partition(py, starts, |start| Ok(start.into_pyobject(py)?.into_any()))
    }

    fn describe_config<'py>(&self, py: Python<'py>, topic: String) -> PyResult<Bound<'py, PyDict>> {
        self.describe(py, ConfigResource::Topic(topic))
    }

    #[pyo3(signature = (node=None))]
    fn describe_broker_config<'py>(
        &self,
        py: Python<'py>,
        node: Option<i32>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let node = match node {
            Some(node) => node,
            None => wait(py, self.inner.describe_cluster())?.controller_id,
        };
        self.describe(py, ConfigResource::Broker(Some(node)))
    }

    fn describe_group_config<'py>(&self, py: Python<'py>, group: String) -> PyResult<Bound<'py, PyDict>> {
        self.describe(py, ConfigResource::Group(group))
    }

    #[pyo3(signature = (topic, changes=None, *, append=None, subtract=None, validate_only=false))]
    fn alter_config(
        &self,
        py: Python<'_>,
        topic: String,
        changes: Option<&Bound<'_, PyDict>>,
        append: Option<&Bound<'_, PyDict>>,
        subtract: Option<&Bound<'_, PyDict>>,
        validate_only: bool,
    ) -> PyResult<()> {
        self.alter(py, ConfigResource::Topic(topic), read_changes(changes, append, subtract)?, validate_only)
    }

    #[pyo3(signature = (changes=None, *, node=None, append=None, subtract=None, validate_only=false))]
    fn alter_broker_config(
        &self,
        py: Python<'_>,
        changes: Option<&Bound<'_, PyDict>>,
        node: Option<i32>,
        append: Option<&Bound<'_, PyDict>>,
        subtract: Option<&Bound<'_, PyDict>>,
        validate_only: bool,
    ) -> PyResult<()> {
        self.alter(py, ConfigResource::Broker(node), read_changes(changes, append, subtract)?, validate_only)
    }

    #[pyo3(signature = (group, changes=None, *, append=None, subtract=None, validate_only=false))]
    fn alter_group_config(
        &self,
        py: Python<'_>,
        group: String,
        changes: Option<&Bound<'_, PyDict>>,
        append: Option<&Bound<'_, PyDict>>,
        subtract: Option<&Bound<'_, PyDict>>,
        validate_only: bool,
    ) -> PyResult<()> {
        self.alter(py, ConfigResource::Group(group), read_changes(changes, append, subtract)?, validate_only)
    }

    fn describe_cluster<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.born.check("Admin")?;
        let cluster = wait(py, self.inner.describe_cluster())?;
        let nodes = cluster.nodes.iter().map(|found| node(py, found)).collect::<PyResult<Vec<_>>>()?;
        make(py, "ClusterDescription", (cluster.cluster_id, cluster.controller_id, nodes))
    }

    fn list_groups<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.born.check("Admin")?;
        let groups = wait(py, self.inner.list_groups())?;
        let groups = groups
            .into_iter()
            .map(|group| make(py, "GroupListing", (group.group_id, group.protocol_type, group.state)))
            .collect::<PyResult<Vec<_>>>()?;
        make(py, "Groups", (groups,))
    }

    fn lag<'py>(slf: &Bound<'py, Self>, group: &str) -> PyResult<Bound<'py, PyAny>> {
        slf.py().import("headwater._lag")?.call_method1("lag_of", (slf, group))
    }

    fn describe_group<'py>(&self, py: Python<'py>, group: &str) -> PyResult<Bound<'py, PyAny>> {
        self.born.check("Admin")?;
        let described = every(py, wait(py, self.inner.describe_groups(&[group]))?)?;
        group_description(py, only(py, described)?)
    }

    fn delete_groups(&self, py: Python<'_>, groups: &Bound<'_, PyAny>) -> PyResult<()> {
        self.born.check("Admin")?;
        let groups = one_or_many(groups)?;
        let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
        every(py, wait(py, self.inner.delete_groups(&groups))?).map(|_| ())
    }

    #[pyo3(signature = (group, members=None, *, instances=None, reason="removed by an administrator"))]
    fn remove_group_members(
        &self,
        py: Python<'_>,
        group: &str,
        members: Option<&Bound<'_, PyAny>>,
        instances: Option<&Bound<'_, PyAny>>,
        reason: &str,
    ) -> PyResult<()> {
        self.born.check("Admin")?;
        let ids = members.map(one_or_many).transpose()?.unwrap_or_default();
        let instances = instances.map(one_or_many).transpose()?.unwrap_or_default();
        let names: Vec<MemberName> = ids
            .into_iter()
            .map(MemberName::Id)
            .chain(instances.into_iter().map(MemberName::Instance))
            .collect();
        if names.is_empty() {
            return Err(misuse(py, "remove_group_members expects members or instances"));
        }
        every(py, wait(py, self.inner.remove_group_members(group, &names, reason))?).map(|_| ())
    }

    #[pyo3(signature = (group, partitions=None))]
    fn list_group_offsets<'py>(
        &self,
        py: Python<'py>,
        group: &str,
        partitions: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        self.born.check("Admin")?;
        let partitions = partitions.map(read_partitions).transpose()?;
        let offsets = wait(py, self.inner.list_group_offsets(group, partitions.as_deref()))?;
        by_partition(py, offsets, |offset| match offset {
            Some(offset) => names::offset_and_metadata(py, &offset),
            None => Ok(py.None().into_bound(py)),
        })
    }

    fn alter_group_offsets(&self, py: Python<'_>, group: &str, offsets: &Bound<'_, PyDict>) -> PyResult<()> {
        self.born.check("Admin")?;
        let offsets: BTreeMap<TopicPartition, OffsetAndMetadata> = names::read_offsets(offsets)?;
        let outcomes = wait(py, self.inner.alter_group_offsets(group, &offsets))?;
        let is_busy = |outcome: &Result<(), ClientError>| {
            let code = outcome.as_ref().err().and_then(ClientError::code);
            code == Some(ErrorCode::UnknownMemberId)
        };
        if outcomes.values().any(is_busy) {
            let message = format!(
                "group {group} has members, and its offsets are theirs; close its consumers first \
                 (Admin.describe_group() shows them)"
            );
            return Err(Class::Broker.error(py, &message, Some("UNKNOWN_MEMBER_ID"), false, false));
        }
        every(py, outcomes).map(|_| ())
    }

    fn delete_group_offsets(
        &self,
        py: Python<'_>,
        group: &str,
        partitions: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        self.born.check("Admin")?;
        let partitions = read_partitions(partitions)?;
        every(py, wait(py, self.inner.delete_group_offsets(group, &partitions))?).map(|_| ())
    }

    #[pyo3(signature = (partitions, *, at=None), text_signature = "(self, partitions, *, at='latest')")]
    fn list_offsets<'py>(
        &self,
        py: Python<'py>,
        partitions: &Bound<'_, PyAny>,
        at: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        self.born.check("Admin")?;
        let spec = at.map_or(Ok(OffsetSpec::Latest), |at| read_place("at", at))?;
        let specs = read_partitions(partitions)?.into_iter().map(|partition| (partition, spec)).collect();
        let offsets = every(py, wait(py, self.inner.list_offsets(&specs, IsolationLevel::ReadUncommitted))?)?;
        by_partition(py, offsets, |found| Ok(found.map(|found| found.offset).into_pyobject(py)?.into_any()))
    }

    #[pyo3(signature = (places, *, isolation_level="read_uncommitted", timeout=None))]
    fn find_offsets<'py>(
        &self,
        py: Python<'py>,
        places: &Bound<'_, PyDict>,
        isolation_level: &str,
        timeout: Option<f64>,
    ) -> PyResult<Bound<'py, PyDict>> {
        self.born.check("Admin")?;
        let isolation = read_isolation(py, isolation_level)?;
        let specs = places
            .iter()
            .map(|(partition, place)| Ok((read_partition(&partition)?, read_place("a place", &place)?)))
            .collect::<PyResult<BTreeMap<TopicPartition, OffsetSpec>>>()?;
        let limited = seconds(py, timeout)?.map(|limit| self.inner.within(limit));
        let admin = limited.as_ref().unwrap_or(&self.inner);
        let found = every(py, wait(py, admin.list_offsets(&specs, isolation))?)?;
        by_partition(py, found, |found| match found {
            Some(found) => names::offset_and_timestamp(py, &found),
            None => Ok(py.None().into_bound(py)),
        })
    }

    #[pyo3(
        signature = (
            topic, to, *, overwrite=false, partitions=None, start=None, end=None, progress=None,
            columns=None, value_format=None, value_schema=None, bad_rows="fail", sample=1000
        ),
        text_signature = "(self, topic, to, *, overwrite=False, partitions=None, start=None, end=None, progress=True, \
            columns=None, value_format=None, value_schema=None, bad_rows='fail', sample=1000)"
    )]
    #[expect(clippy::too_many_arguments, reason = "the options of an export")]
    fn export<'py>(
        &self,
        py: Python<'py>,
        topic: &str,
        to: &Bound<'py, PyAny>,
        overwrite: bool,
        partitions: Option<Vec<i32>>,
        start: Option<&Bound<'py, PyAny>>,
        end: Option<&Bound<'py, PyAny>>,
        progress: Option<&Bound<'py, PyAny>>,
        columns: Option<Vec<String>>,
        value_format: Option<&str>,
        value_schema: Option<&Bound<'py, PyAny>>,
        bad_rows: &str,
        sample: usize,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.born.check("Admin")?;
        let values = ValueOptions::read(py, value_format, value_schema, bad_rows, sample)?;
        let request = crate::export::Request {
            topic,
            to,
            overwrite,
            partitions,
            start,
            end,
            progress,
            columns,
            values,
        };
        crate::export::run(self.target.bind(py), &request)
    }

    fn close(&self) {
        self.inner.close();
    }

    fn __enter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    #[pyo3(signature = (_kind=None, _error=None, _traceback=None))]
    fn __exit__(&self, _kind: Option<Py<PyAny>>, _error: Option<Py<PyAny>>, _traceback: Option<Py<PyAny>>) {
        self.inner.close();
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!("Admin({})", self.target.bind(py).repr()?))
    }
}

impl Admin {
    fn alter(
        &self,
        py: Python<'_>,
        resource: ConfigResource,
        changes: Vec<ConfigChange>,
        validate_only: bool,
    ) -> PyResult<()> {
        self.born.check("Admin")?;
        let changes = BTreeMap::from([(resource, changes)]);
        every(py, wait(py, self.inner.alter_configs(&changes, validate_only))?).map(|_| ())
    }

    fn describe<'py>(&self, py: Python<'py>, resource: ConfigResource) -> PyResult<Bound<'py, PyDict>> {
        self.born.check("Admin")?;
        let described = every(py, wait(py, self.inner.describe_configs(&[resource]))?)?;
        let values = PyDict::new(py);
        for entry in only(py, described)? {
            let name = entry.name.clone();
            values.set_item(name, config_value(py, entry)?)?;
        }
        Ok(values)
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        // In a forked child the inherited client's threads do not exist: its parts are left alone.
        if !self.born.is_here() {
            std::mem::forget(self.inner.clone());
        }
    }
}

/// All outcomes, or the first error with a word on how many there were.
fn every<K: Ord, T>(py: Python<'_>, outcomes: Each<K, T>) -> PyResult<BTreeMap<K, T>> {
    let count = outcomes.len();
    let mut done = BTreeMap::new();
    let mut failed: Vec<ClientError> = Vec::new();
    for (key, outcome) in outcomes {
        match outcome {
            Ok(value) => drop(done.insert(key, value)),
            Err(error) => failed.push(error),
        }
    }
    match failed.len() {
        0 => Ok(done),
        1 if count == 1 => Err(failed.remove(0).into_py_err(py)),
        errors => {
            let first = &failed[0];
            let message = format!("{errors} of {count} failed; the first: {first}");
            let message = hints::with_hint(&message, hints::of_client(first));
            let code = first.code().map(|code| code.name());
            Err(Class::Broker.error(py, &message, code, first.retriable(), first.fatal()))
        }
    }
}

fn only<K, T>(py: Python<'_>, outcomes: BTreeMap<K, T>) -> PyResult<T> {
    let answer = outcomes.into_values().next();
    answer.ok_or_else(|| Class::Broker.error(py, "the broker's answer is empty", None, false, false))
}

fn node<'py>(py: Python<'py>, node: &Node) -> PyResult<Bound<'py, PyAny>> {
    make(py, "Node", (node.id, &node.host, node.port, node.rack.as_deref()))
}

fn partition_description<'py>(py: Python<'py>, of: PartitionMetadata) -> PyResult<Bound<'py, PyAny>> {
    make(py, "PartitionDescription", (of.partition, of.leader, of.leader_epoch, of.replicas, of.isr))
}

fn topic_description(py: Python<'_>, topic: TopicDescription) -> PyResult<Bound<'_, PyAny>> {
    let partitions = topic.partitions.into_iter().map(|partition| partition_description(py, partition));
    let partitions = partitions.collect::<PyResult<Vec<_>>>()?;
    make(py, "TopicDescription", (topic.name, topic.topic_id.to_string(), topic.internal, partitions))
}

fn group_description(py: Python<'_>, group: GroupDescription) -> PyResult<Bound<'_, PyAny>> {
    let mut members = Vec::new();
    for member in group.members {
        let assignment = member.assignment.iter().map(|partition| names::topic_partition(py, partition));
        let assignment = assignment.collect::<PyResult<Vec<_>>>()?;
        let fields =
            (member.member_id, member.group_instance_id, member.client_id, member.client_host, assignment);
        members.push(make(py, "MemberDescription", fields)?);
    }
    make(py, "GroupDescription", (group.group_id, group.state, group.protocol_type, group.protocol, members))
}

fn one_or_many(names: &Bound<'_, PyAny>) -> PyResult<Vec<String>> {
    if let Ok(one) = names.cast::<PyString>() {
        return Ok(vec![one.to_str()?.to_owned()]);
    }
    names.extract().map_err(|_| misuse(names.py(), "expected a str or a list of str"))
}
