//! Replies of librdkafka's Admin API, copied out of their events.
//!
//! Judges none of them.

use super::events::Event;
use super::list::{self, Line};
use super::native::{Code, OK, explain, text};
use crate::broker::{TopicId, TopicPartition};
use rdkafka_sys::{self as rd, rd_kafka_AclOperation_t as Acl};

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

/// A reply; each line or topic may still hold an error of its own.
#[derive(Debug)]
pub(super) enum Reply {
    Offsets(Vec<Line>),
    Changed(Vec<Line>),
    Topics(Vec<Result<Topic, (String, Code)>>),
    /// Created or deleted.
    Topical(Vec<(String, Code, String)>),
    Configs(Vec<(String, String)>),
    Groups(Vec<Group>),
    Failed(Code, String),
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
pub(super) unsafe fn read(event: &Event) -> Reply {
    let event = event.raw();
    let mut count = 0;
    // SAFETY: each result is read by the functions for its type, and the event outlives the reading.
    unsafe {
        let code = rd::rd_kafka_event_error(event);
        if code != OK {
            return Reply::Failed(code, text(rd::rd_kafka_event_error_string(event)));
        }
        let kind = rd::rd_kafka_event_type(event);
        match kind {
            rd::RD_KAFKA_EVENT_LISTOFFSETS_RESULT => {
                let infos = rd::rd_kafka_ListOffsets_result_infos(event.cast(), &mut count);
                let line = |info: &*const rd::rd_kafka_ListOffsetsResultInfo_t| {
                    list::line(&*rd::rd_kafka_ListOffsetsResultInfo_topic_partition(*info))
                };
                Reply::Offsets(array(infos, count).iter().map(line).collect())
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
            rd::RD_KAFKA_EVENT_CREATETOPICS_RESULT | rd::RD_KAFKA_EVENT_DELETETOPICS_RESULT => {
                let topics = match kind {
                    rd::RD_KAFKA_EVENT_CREATETOPICS_RESULT => {
                        rd::rd_kafka_CreateTopics_result_topics(event.cast(), &mut count)
                    }
                    _ => rd::rd_kafka_DeleteTopics_result_topics(event.cast(), &mut count),
                };
                let topical = |raw: &*const rd::rd_kafka_topic_result_t| {
                    let name = text(rd::rd_kafka_topic_result_name(*raw));
                    let reason = text(rd::rd_kafka_topic_result_error_string(*raw));
                    (name, rd::rd_kafka_topic_result_error(*raw), reason)
                };
                Reply::Topical(array(topics, count).iter().map(topical).collect())
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
