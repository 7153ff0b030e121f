//! Requests of librdkafka's Admin API on a queue of their own: sent without waiting, answered in any order.
//!
//! Decides nothing about an answer; `questions.rs` (for a lane) and `admin.rs` (for the worker) do.

use super::events::Queue;
use super::list::PartitionList;
use super::native::{Client, c_string, millis, text};
use super::replies::{Reply, read};
use crate::broker::TopicPartition;
use crate::error::BrokerError;
pub(super) use rdkafka_sys::rd_kafka_ResourceType_t as Resource;
use rdkafka_sys::{self as rd, rd_kafka_admin_op_t as Op};
use std::ffi::{CString, c_char, c_int};
use std::sync::Arc;
use std::time::Duration;

/// Sends requests and receives their replies.
pub(super) struct Mailbox {
    queue: Queue,
    last_id: u64,
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

/// Which end of a partition is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Which {
    Earliest,
    /// The last stable offset.
    Stable,
    /// The high watermark.
    High,
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
        // SAFETY: as in `offsets`.
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
        // SAFETY: as in `offsets`.
        unsafe {
            let mut request = rd::rd_kafka_DeleteRecords_new(list.raw());
            rd::rd_kafka_DeleteRecords(self.client(), &mut request, 1, options.raw, self.queue.raw());
            rd::rd_kafka_DeleteRecords_destroy(request);
        }
        Ok(options.id)
    }

    /// Deletes a topic.
    pub(super) fn delete_topic(&mut self, name: &str, timeout: Duration) -> Result<u64, BrokerError> {
        let name = c_string(name)?;
        let options = self.options(Op::RD_KAFKA_ADMIN_OP_DELETETOPICS, timeout);
        // SAFETY: as in `offsets`.
        unsafe {
            let mut request = rd::rd_kafka_DeleteTopic_new(name.as_ptr());
            rd::rd_kafka_DeleteTopics(self.client(), &mut request, 1, options.raw, self.queue.raw());
            rd::rd_kafka_DeleteTopic_destroy(request);
        }
        Ok(options.id)
    }

    /// Asks for identity and partitions of topics.
    pub(super) fn topics(&mut self, names: &[&str], timeout: Duration) -> Result<u64, BrokerError> {
        let names = names.iter().map(|name| c_string(name)).collect::<Result<Vec<_>, _>>()?;
        let mut pointers = names.iter().map(|name| name.as_ptr()).collect::<Vec<_>>();
        let options = self.options(Op::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS, timeout);
        // SAFETY: as in `offsets`; the names live until the end of the call.
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
        // SAFETY: as in `offsets`; with an operation timeout the reply comes when the topics are usable.
        unsafe {
            rd::rd_kafka_AdminOptions_set_operation_timeout(options.raw, millis(timeout), std::ptr::null_mut(), 0);
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
        // SAFETY: as in `offsets`.
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
        // SAFETY: as in `offsets`.
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
            let timeout_ms = millis(timeout);
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
