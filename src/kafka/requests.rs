//! Requests of librdkafka's Admin API on a queue of their own: sent without waiting, answered in any order.
//!
//! Decides nothing about an answer; `questions.rs` (for a lane) and `admin.rs` (for the worker) do.

use super::events::{Event, Queue};
use super::list::{self, Line, PartitionList};
use super::native::{Client, Code, OK, c_string, explain, text};
use crate::broker::{TopicId, TopicPartition};
use crate::error::BrokerError;
pub(super) use rdkafka_sys::rd_kafka_ResourceType_t as Resource;
use rdkafka_sys::{self as rd, rd_kafka_AclOperation_t as Acl, rd_kafka_admin_op_t as Op};
use std::ffi::{CString, c_char, c_int};
use std::sync::Arc;
use std::time::Duration;

/// Sends requests and receives their replies.
pub(super) struct Mailbox {
    queue: Queue,
    last_id: u64,
}

/// A topic as the cluster describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// Its name.
    pub name: String,
    /// Its identity.
    pub id: TopicId,
    /// Number of its partitions.
    pub partitions: i32,
    /// What this user may do with it; `None` if the cluster does not say.
    pub rights: Option<Rights>,
}

/// What a user may do with a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rights {
    /// Fetch records and commit positions.
    pub read: bool,
    /// Produce records.
    pub write: bool,
}

/// A topic that is to be created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// Number of partitions.
    pub partitions: i32,
    /// Copies of each; −1 is the cluster's default.
    pub replication: i32,
    /// Settings such as `retention.ms`.
    pub config: Vec<(String, String)>,
}

/// A consumer group as its coordinator describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Such as `Stable`, `Empty` or `Dead` (there is none).
    pub state: String,
    /// `Consumer` (KIP-848) or `Classic`.
    pub protocol: String,
    /// Who is in it.
    pub members: Vec<Member>,
}

/// A member of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Given by the coordinator.
    pub member_id: String,
    /// `group.instance.id`; empty for a dynamic member.
    pub instance_id: String,
    /// `client.id`.
    pub client_id: String,
    /// Address it connects from.
    pub host: String,
    /// What it owns.
    pub partitions: Vec<TopicPartition>,
}

/// Which end of a partition is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Which {
    Earliest,
    /// The last stable offset.
    Stable,
    /// The high watermark.
    High,
}

/// A reply; each line or topic may still hold an error of its own.
#[derive(Debug)]
pub(super) enum Reply {
    Offsets(Vec<Line>),
    Positions(Vec<Line>),
    Changed(Vec<Line>),
    Topics(Vec<Result<Topic, (String, Code)>>),
    Created(Vec<(String, Code, String)>),
    Configs(Vec<(String, String)>),
    Groups(Vec<Group>),
    Failed(Code, String),
}

impl Mailbox {
    pub(super) fn new(client: &Arc<Client>) -> Result<Self, BrokerError> {
        Ok(Self { queue: Queue::new(client)?, last_id: 0 })
    }

    pub(super) fn queue(&self) -> &Queue {
        &self.queue
    }

    /// The next reply with the number of its request, waiting at most `timeout`.
    pub(super) fn next(&self, timeout: Duration) -> Option<(u64, Reply)> {
        let event = self.queue.next_event(timeout)?;
        // SAFETY: the opaque is the number that `options` has set, and never was a pointer.
        let id = unsafe { rd::rd_kafka_event_opaque(event.raw()) } as usize as u64;
        // SAFETY: the event is alive.
        Some((id, unsafe { read(&event) }))
    }

    /// Asks for one end of each partition.
    pub(super) fn offsets(
        &mut self,
        partitions: &[TopicPartition],
        which: Which,
        timeout: Duration,
    ) -> Result<u64, BrokerError> {
        let spec = match which {
            Which::Earliest => rd::rd_kafka_OffsetSpec_t::RD_KAFKA_OFFSET_SPEC_EARLIEST,
            Which::Stable | Which::High => rd::rd_kafka_OffsetSpec_t::RD_KAFKA_OFFSET_SPEC_LATEST,
        };
        let level = match which {
            Which::Stable => rd::rd_kafka_IsolationLevel_t::RD_KAFKA_ISOLATION_LEVEL_READ_COMMITTED,
            _ => rd::rd_kafka_IsolationLevel_t::RD_KAFKA_ISOLATION_LEVEL_READ_UNCOMMITTED,
        };
        let list = PartitionList::at(partitions.iter().map(|partition| (partition, spec as i64)))?;
        let options = self.options(Op::RD_KAFKA_ADMIN_OP_LISTOFFSETS, timeout);
        // SAFETY: client, queue, list and options are alive; librdkafka copies what it keeps.
        unsafe {
            drop_error(rd::rd_kafka_AdminOptions_set_isolation_level(options.raw, level));
            rd::rd_kafka_ListOffsets(self.client(), list.raw(), options.raw, self.queue.raw());
        }
        Ok(options.id)
    }

    /// Asks what a group has committed, settled transactions only; without `partitions` for all of them.
    pub(super) fn positions(
        &mut self,
        group: &str,
        partitions: Option<&[TopicPartition]>,
        timeout: Duration,
    ) -> Result<u64, BrokerError> {
        let group = c_string(group)?;
        let list = partitions.map(PartitionList::of).transpose()?;
        let options = self.options(Op::RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS, timeout);
        // SAFETY: as in `offsets`; the request is destroyed after it was sent.
        unsafe {
            let list = list.as_ref().map_or(std::ptr::null(), |list| list.raw().cast_const());
            let mut request = rd::rd_kafka_ListConsumerGroupOffsets_new(group.as_ptr(), list);
            drop_error(rd::rd_kafka_AdminOptions_set_require_stable_offsets(options.raw, 1));
            rd::rd_kafka_ListConsumerGroupOffsets(self.client(), &mut request, 1, options.raw, self.queue.raw());
            rd::rd_kafka_ListConsumerGroupOffsets_destroy(request);
        }
        Ok(options.id)
    }

    /// Commits positions for a group that has no members.
    pub(super) fn alter_positions(
        &mut self,
        group: &str,
        list: &PartitionList,
        timeout: Duration,
    ) -> Result<u64, BrokerError> {
        let group = c_string(group)?;
        let options = self.options(Op::RD_KAFKA_ADMIN_OP_ALTERCONSUMERGROUPOFFSETS, timeout);
        // SAFETY: as in `positions`.
        unsafe {
            let mut request = rd::rd_kafka_AlterConsumerGroupOffsets_new(group.as_ptr(), list.raw());
            rd::rd_kafka_AlterConsumerGroupOffsets(self.client(), &mut request, 1, options.raw, self.queue.raw());
            rd::rd_kafka_AlterConsumerGroupOffsets_destroy(request);
        }
        Ok(options.id)
    }

    /// Erases positions of a group that does not read their topics.
    pub(super) fn delete_positions(
        &mut self,
        group: &str,
        partitions: &[TopicPartition],
        timeout: Duration,
    ) -> Result<u64, BrokerError> {
        let group = c_string(group)?;
        let list = PartitionList::of(partitions)?;
        let options = self.options(Op::RD_KAFKA_ADMIN_OP_DELETECONSUMERGROUPOFFSETS, timeout);
        // SAFETY: as in `positions`.
        unsafe {
            let mut request = rd::rd_kafka_DeleteConsumerGroupOffsets_new(group.as_ptr(), list.raw());
            rd::rd_kafka_DeleteConsumerGroupOffsets(self.client(), &mut request, 1, options.raw, self.queue.raw());
            rd::rd_kafka_DeleteConsumerGroupOffsets_destroy(request);
        }
        Ok(options.id)
    }

    /// Erases all records below the given offsets.
    pub(super) fn delete_records(&mut self, list: &PartitionList, timeout: Duration) -> Result<u64, BrokerError> {
        let options = self.options(Op::RD_KAFKA_ADMIN_OP_DELETERECORDS, timeout);
        // SAFETY: as in `positions`.
        unsafe {
            let mut request = rd::rd_kafka_DeleteRecords_new(list.raw());
            rd::rd_kafka_DeleteRecords(self.client(), &mut request, 1, options.raw, self.queue.raw());
            rd::rd_kafka_DeleteRecords_destroy(request);
        }
        Ok(options.id)
    }

    /// Asks for identity and partitions of topics.
    pub(super) fn topics(&mut self, names: &[&str], timeout: Duration) -> Result<u64, BrokerError> {
        let names = names.iter().map(|name| c_string(name)).collect::<Result<Vec<_>, _>>()?;
        let mut pointers = names.iter().map(|name| name.as_ptr()).collect::<Vec<_>>();
        let options = self.options(Op::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS, timeout);
        // SAFETY: as in `positions`; the names live until the end of the call.
        unsafe {
            drop_error(rd::rd_kafka_AdminOptions_set_include_authorized_operations(options.raw, 1));
            let topics = rd::rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr(), pointers.len());
            rd::rd_kafka_DescribeTopics(self.client(), topics, options.raw, self.queue.raw());
            rd::rd_kafka_TopicCollection_destroy(topics);
        }
        Ok(options.id)
    }

    /// Creates topics.
    pub(super) fn create(&mut self, topics: &[NewTopic], timeout: Duration) -> Result<u64, BrokerError> {
        let mut requests = NewTopics(Vec::new());
        for topic in topics {
            requests.push(topic)?;
        }
        let options = self.options(Op::RD_KAFKA_ADMIN_OP_CREATETOPICS, timeout);
        // SAFETY: as in `positions`; with an operation timeout the reply comes when the topics are usable.
        unsafe {
            rd::rd_kafka_AdminOptions_set_operation_timeout(
                options.raw,
                super::native::millis(timeout),
                std::ptr::null_mut(),
                0,
            );
            rd::rd_kafka_CreateTopics(
                self.client(),
                requests.0.as_mut_ptr(),
                requests.0.len(),
                options.raw,
                self.queue.raw(),
            );
        }
        Ok(options.id)
    }

    /// Asks for the settings of a topic, or of a broker by its number.
    pub(super) fn configs(&mut self, kind: Resource, name: &str, timeout: Duration) -> Result<u64, BrokerError> {
        let name = c_string(name)?;
        let options = self.options(Op::RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS, timeout);
        // SAFETY: as in `positions`.
        unsafe {
            let mut request = rd::rd_kafka_ConfigResource_new(kind, name.as_ptr());
            rd::rd_kafka_DescribeConfigs(self.client(), &mut request, 1, options.raw, self.queue.raw());
            rd::rd_kafka_ConfigResource_destroy(request);
        }
        Ok(options.id)
    }

    /// Sets one setting of a topic.
    pub(super) fn alter_config(
        &mut self,
        topic: &str,
        name: &str,
        value: &str,
        timeout: Duration,
    ) -> Result<u64, BrokerError> {
        let (topic, name, value) = (c_string(topic)?, c_string(name)?, c_string(value)?);
        let options = self.options(Op::RD_KAFKA_ADMIN_OP_INCREMENTALALTERCONFIGS, timeout);
        // SAFETY: as in `positions`.
        unsafe {
            let kind = rd::rd_kafka_ResourceType_t::RD_KAFKA_RESOURCE_TOPIC;
            let set = rd::rd_kafka_AlterConfigOpType_t::RD_KAFKA_ALTER_CONFIG_OP_TYPE_SET;
            let mut request = rd::rd_kafka_ConfigResource_new(kind, topic.as_ptr());
            drop_error(rd::rd_kafka_ConfigResource_add_incremental_config(request, name.as_ptr(), set, value.as_ptr()));
            rd::rd_kafka_IncrementalAlterConfigs(self.client(), &mut request, 1, options.raw, self.queue.raw());
            rd::rd_kafka_ConfigResource_destroy(request);
        }
        Ok(options.id)
    }

    /// Asks who is in a group.
    pub(super) fn group(&mut self, group: &str, timeout: Duration) -> Result<u64, BrokerError> {
        let group = c_string(group)?;
        let options = self.options(Op::RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS, timeout);
        let mut names = [group.as_ptr()];
        // SAFETY: as in `topics`.
        unsafe {
            rd::rd_kafka_DescribeConsumerGroups(self.client(), names.as_mut_ptr(), 1, options.raw, self.queue.raw());
        }
        Ok(options.id)
    }

    fn client(&self) -> *mut rd::rd_kafka_t {
        self.queue.client().raw()
    }

    fn options(&mut self, op: Op, timeout: Duration) -> Options {
        self.last_id += 1;
        // SAFETY: the client is alive; the opaque is a number, and comes back as one.
        unsafe {
            let raw = rd::rd_kafka_AdminOptions_new(self.client(), op);
            let timeout_ms = super::native::millis(timeout);
            rd::rd_kafka_AdminOptions_set_request_timeout(raw, timeout_ms, std::ptr::null_mut(), 0);
            rd::rd_kafka_AdminOptions_set_opaque(raw, self.last_id as usize as *mut _);
            Options { raw, id: self.last_id }
        }
    }
}

struct Options {
    raw: *mut rd::rd_kafka_AdminOptions_t,
    id: u64,
}

impl Drop for Options {
    fn drop(&mut self) {
        // SAFETY: ours; requests copy their options.
        unsafe { rd::rd_kafka_AdminOptions_destroy(self.raw) };
    }
}

struct NewTopics(Vec<*mut rd::rd_kafka_NewTopic_t>);

impl NewTopics {
    fn push(&mut self, topic: &NewTopic) -> Result<(), BrokerError> {
        let name = c_string(&topic.name)?;
        let config = topic
            .config
            .iter()
            .map(|(name, value)| Ok((c_string(name)?, c_string(value)?)))
            .collect::<Result<Vec<(CString, CString)>, BrokerError>>()?;
        let mut reason = [0 as c_char; 256];
        // SAFETY: strings end with NUL; the buffer's length is given; the request is ours and copies all of them.
        unsafe {
            let request = rd::rd_kafka_NewTopic_new(
                name.as_ptr(),
                topic.partitions as c_int,
                topic.replication as c_int,
                reason.as_mut_ptr(),
                reason.len(),
            );
            if request.is_null() {
                return Err(BrokerError::fatal(format!("topic `{}`: {}", topic.name, text(reason.as_ptr()))));
            }
            for (name, value) in &config {
                rd::rd_kafka_NewTopic_set_config(request, name.as_ptr(), value.as_ptr());
            }
            self.0.push(request);
        }
        Ok(())
    }
}

impl Drop for NewTopics {
    fn drop(&mut self) {
        // SAFETY: each is ours, and destroyed once.
        unsafe { rd::rd_kafka_NewTopic_destroy_array(self.0.as_mut_ptr(), self.0.len()) };
    }
}

/// # Safety
/// `error` is null or ours to destroy.
unsafe fn drop_error(error: *mut rd::rd_kafka_error_t) {
    if !error.is_null() {
        // SAFETY: by contract.
        unsafe { rd::rd_kafka_error_destroy(error) };
    }
}

/// # Safety
/// `array` is null or holds `count` pointers that live as long as `'a`.
unsafe fn array<'a, T>(array: *mut *const T, count: usize) -> &'a [*const T] {
    if array.is_null() || count == 0 {
        return &[];
    }
    // SAFETY: by contract.
    unsafe { std::slice::from_raw_parts(array, count) }
}

/// Reads a reply. All it borrows lives as long as the event, and is copied.
///
/// # Safety
/// The event is the result of a request above.
unsafe fn read(event: &Event) -> Reply {
    let event = event.raw();
    let mut count = 0;
    // SAFETY: each result is read by the functions for its type, and the event outlives the reading.
    unsafe {
        let code = rd::rd_kafka_event_error(event);
        if code != OK {
            return Reply::Failed(code, text(rd::rd_kafka_event_error_string(event)));
        }
        match rd::rd_kafka_event_type(event) {
            rd::RD_KAFKA_EVENT_LISTOFFSETS_RESULT => {
                let infos = rd::rd_kafka_ListOffsets_result_infos(event.cast(), &mut count);
                let line = |info: &*const rd::rd_kafka_ListOffsetsResultInfo_t| {
                    list::line(&*rd::rd_kafka_ListOffsetsResultInfo_topic_partition(*info))
                };
                Reply::Offsets(array(infos, count).iter().map(line).collect())
            }
            rd::RD_KAFKA_EVENT_LISTCONSUMERGROUPOFFSETS_RESULT => {
                let groups = rd::rd_kafka_ListConsumerGroupOffsets_result_groups(event.cast(), &mut count);
                group_lines(array(groups, count)).map_or_else(|failed| failed, Reply::Positions)
            }
            rd::RD_KAFKA_EVENT_ALTERCONSUMERGROUPOFFSETS_RESULT => {
                let groups = rd::rd_kafka_AlterConsumerGroupOffsets_result_groups(event.cast(), &mut count);
                group_lines(array(groups, count)).map_or_else(|failed| failed, Reply::Changed)
            }
            rd::RD_KAFKA_EVENT_DELETECONSUMERGROUPOFFSETS_RESULT => {
                let groups = rd::rd_kafka_DeleteConsumerGroupOffsets_result_groups(event.cast(), &mut count);
                group_lines(array(groups, count)).map_or_else(|failed| failed, Reply::Changed)
            }
            rd::RD_KAFKA_EVENT_DELETERECORDS_RESULT => {
                Reply::Changed(list::lines(rd::rd_kafka_DeleteRecords_result_offsets(event.cast())))
            }
            rd::RD_KAFKA_EVENT_DESCRIBETOPICS_RESULT => {
                let topics = rd::rd_kafka_DescribeTopics_result_topics(event.cast(), &mut count);
                Reply::Topics(array(topics, count).iter().map(|raw| topic(*raw)).collect())
            }
            rd::RD_KAFKA_EVENT_CREATETOPICS_RESULT => {
                let topics = rd::rd_kafka_CreateTopics_result_topics(event.cast(), &mut count);
                let created = |raw: &*const rd::rd_kafka_topic_result_t| {
                    let name = text(rd::rd_kafka_topic_result_name(*raw));
                    let reason = text(rd::rd_kafka_topic_result_error_string(*raw));
                    (name, rd::rd_kafka_topic_result_error(*raw), reason)
                };
                Reply::Created(array(topics, count).iter().map(created).collect())
            }
            rd::RD_KAFKA_EVENT_DESCRIBECONFIGS_RESULT => {
                let resources = rd::rd_kafka_DescribeConfigs_result_resources(event.cast(), &mut count);
                let Some(resource) = array(resources, count).first() else { return Reply::Configs(Vec::new()) };
                let code = rd::rd_kafka_ConfigResource_error(*resource);
                if code != OK {
                    return Reply::Failed(code, text(rd::rd_kafka_ConfigResource_error_string(*resource)));
                }
                let entries = rd::rd_kafka_ConfigResource_configs(*resource, &mut count);
                let entry = |raw: &*const rd::rd_kafka_ConfigEntry_t| {
                    (text(rd::rd_kafka_ConfigEntry_name(*raw)), text(rd::rd_kafka_ConfigEntry_value(*raw)))
                };
                Reply::Configs(array(entries, count).iter().map(entry).collect())
            }
            rd::RD_KAFKA_EVENT_INCREMENTALALTERCONFIGS_RESULT => {
                let resources = rd::rd_kafka_IncrementalAlterConfigs_result_resources(event.cast(), &mut count);
                for resource in array(resources, count) {
                    let code = rd::rd_kafka_ConfigResource_error(*resource);
                    if code != OK {
                        return Reply::Failed(code, text(rd::rd_kafka_ConfigResource_error_string(*resource)));
                    }
                }
                Reply::Configs(Vec::new())
            }
            rd::RD_KAFKA_EVENT_DESCRIBECONSUMERGROUPS_RESULT => {
                let groups = rd::rd_kafka_DescribeConsumerGroups_result_groups(event.cast(), &mut count);
                let groups = array(groups, count).iter().map(|raw| group(*raw)).collect::<Result<Vec<_>, _>>();
                groups.map_or_else(|(code, reason)| Reply::Failed(code, reason), Reply::Groups)
            }
            other => Reply::Failed(
                Code::RD_KAFKA_RESP_ERR__NOT_IMPLEMENTED,
                format!("an answer of type {other}, which nobody asked for"),
            ),
        }
    }
}

/// # Safety
/// The pointers are valid.
unsafe fn group_lines(groups: &[*const rd::rd_kafka_group_result_t]) -> Result<Vec<Line>, Reply> {
    let Some(group) = groups.first() else { return Ok(Vec::new()) };
    // SAFETY: by contract.
    unsafe {
        let error = rd::rd_kafka_group_result_error(*group);
        if !error.is_null() {
            return Err(Reply::Failed(rd::rd_kafka_error_code(error), text(rd::rd_kafka_error_string(error))));
        }
        Ok(list::lines(rd::rd_kafka_group_result_partitions(*group)))
    }
}

/// # Safety
/// `raw` is valid.
unsafe fn topic(raw: *const rd::rd_kafka_TopicDescription_t) -> Result<Topic, (String, Code)> {
    // SAFETY: by contract.
    unsafe {
        let name = text(rd::rd_kafka_TopicDescription_name(raw));
        let error = rd::rd_kafka_TopicDescription_error(raw);
        if !error.is_null() && rd::rd_kafka_error_code(error) != OK {
            return Err((name, rd::rd_kafka_error_code(error)));
        }
        let mut partitions = 0;
        rd::rd_kafka_TopicDescription_partitions(raw, &mut partitions);
        let id = rd::rd_kafka_TopicDescription_topic_id(raw);
        let mut bytes = [0; 16];
        if !id.is_null() {
            let halves = [rd::rd_kafka_Uuid_most_significant_bits(id), rd::rd_kafka_Uuid_least_significant_bits(id)];
            for (to, from) in bytes.iter_mut().zip(halves.into_iter().flat_map(i64::to_be_bytes)) {
                *to = from;
            }
        }
        let mut count = 0;
        let allowed = rd::rd_kafka_TopicDescription_authorized_operations(raw, &mut count);
        let rights = (!allowed.is_null() && count > 0).then(|| {
            let allowed = std::slice::from_raw_parts(allowed, count);
            let may = |operation| allowed.contains(&operation) || allowed.contains(&Acl::RD_KAFKA_ACL_OPERATION_ALL);
            Rights { read: may(Acl::RD_KAFKA_ACL_OPERATION_READ), write: may(Acl::RD_KAFKA_ACL_OPERATION_WRITE) }
        });
        Ok(Topic { name, id: TopicId(bytes), partitions: i32::try_from(partitions).unwrap_or(i32::MAX), rights })
    }
}

/// # Safety
/// `raw` is valid.
unsafe fn group(raw: *const rd::rd_kafka_ConsumerGroupDescription_t) -> Result<Group, (Code, String)> {
    // SAFETY: by contract.
    unsafe {
        let error = rd::rd_kafka_ConsumerGroupDescription_error(raw);
        if !error.is_null() && rd::rd_kafka_error_code(error) != OK {
            let code = rd::rd_kafka_error_code(error);
            return Err((code, explain(code)));
        }
        let state = rd::rd_kafka_ConsumerGroupDescription_state(raw);
        let kind = rd::rd_kafka_ConsumerGroupDescription_type(raw);
        let members = (0..rd::rd_kafka_ConsumerGroupDescription_member_count(raw))
            .map(|index| member(rd::rd_kafka_ConsumerGroupDescription_member(raw, index)));
        Ok(Group {
            state: text(rd::rd_kafka_consumer_group_state_name(state)),
            protocol: text(rd::rd_kafka_consumer_group_type_name(kind)),
            members: members.collect(),
        })
    }
}

/// # Safety
/// `raw` is valid.
unsafe fn member(raw: *const rd::rd_kafka_MemberDescription_t) -> Member {
    // SAFETY: by contract.
    unsafe {
        let assignment = rd::rd_kafka_MemberDescription_assignment(raw);
        let partitions = if assignment.is_null() {
            Vec::new()
        } else {
            list::lines(rd::rd_kafka_MemberAssignment_partitions(assignment))
        };
        Member {
            member_id: text(rd::rd_kafka_MemberDescription_consumer_id(raw)),
            instance_id: text(rd::rd_kafka_MemberDescription_group_instance_id(raw)),
            client_id: text(rd::rd_kafka_MemberDescription_client_id(raw)),
            host: text(rd::rd_kafka_MemberDescription_host(raw)),
            partitions: partitions.into_iter().map(|line| line.partition).collect(),
        }
    }
}
