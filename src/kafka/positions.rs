//! Positions of a group by the calls of a consumer: fetched, and committed from outside.
//!
//! Not by the Admin API: its requests to a coordinator end the process when the connection drops at the wrong moment
//! (librdkafka issues 3663 and 4605).

use super::events::Queue;
use super::list::{self, Line, PartitionList};
use super::native::{Client, Code, OK, explain, millis};
use crate::broker::{CommitOffset, Committed, TopicPartition};
use crate::error::BrokerError;
use rdkafka_sys as rd;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

/// An answer on its way.
pub(super) struct Fetch(Receiver<Result<Vec<Option<Committed>>, BrokerError>>);

impl Fetch {
    /// Asks on a thread of its own, because librdkafka's call blocks; the answer or a retry comes within `patience`.
    pub(super) fn start(client: &Arc<Client>, partitions: &[TopicPartition], patience: Duration) -> Self {
        let (answer, answered) = mpsc::channel();
        let (client, partitions) = (client.clone(), partitions.to_vec());
        let ask = move || {
            let _ = answer.send(fetch(&client, &partitions, patience));
        };
        // Without a thread the channel closes, which is a retry.
        let _ = std::thread::Builder::new().name("kafka-committed".into()).spawn(ask);
        Self(answered)
    }

    /// The answer, or `None` if it does not come within `timeout`.
    pub(super) fn wait(&self, timeout: Duration) -> Option<Result<Vec<Option<Committed>>, BrokerError>> {
        match self.0.recv_timeout(timeout) {
            Ok(answer) => Some(answer),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Err(BrokerError::retry("the question was not asked"))),
        }
    }
}

/// What the group of a consumer has committed, in the order of `partitions`; pending transactions are settled first.
///
/// # Errors
/// Retry: nobody answered in time; fatal: not permitted.
pub(super) fn fetch(
    client: &Client,
    partitions: &[TopicPartition],
    timeout: Duration,
) -> Result<Vec<Option<Committed>>, BrokerError> {
    let list = PartitionList::of(partitions)?;
    // SAFETY: client and list are alive.
    let code = unsafe { rd::rd_kafka_committed(client.raw(), list.raw(), millis(timeout)) };
    if code != OK {
        return Err(refusal(code, "committed positions"));
    }
    let lines = list.lines();
    let find = |name: &TopicPartition| match lines.iter().find(|line| line.partition == *name) {
        Some(Line { error: Some(code), .. }) => Err(refusal(*code, &format!("committed position of {name}"))),
        Some(line) => Ok(line.offset.map(|offset| Committed { offset, metadata: line.metadata.clone() })),
        None => Err(BrokerError::retry(format!("the coordinator did not mention {name}"))),
    };
    partitions.iter().map(find).collect()
}

/// Commits positions without being a member; the coordinator takes them only while the group is empty.
///
/// # Errors
/// Abort: the group has members; retry: nobody answered; fatal: refused.
pub(super) fn commit(client: &Arc<Client>, positions: &[CommitOffset], timeout: Duration) -> Result<(), BrokerError> {
    let mut list = PartitionList::new();
    for position in positions {
        list.push(&position.partition, Some(position.committed.offset), &position.committed.metadata)?;
    }
    let queue = Queue::new(client)?;
    // SAFETY: client, list and queue are alive; the list is copied.
    let code = unsafe { rd::rd_kafka_commit_queue(client.raw(), list.raw(), queue.raw(), None, std::ptr::null_mut()) };
    if code != OK {
        return Err(refusal(code, "positions"));
    }
    let event = queue.next_event(timeout).ok_or_else(|| BrokerError::retry("positions: nobody answered"))?;
    // SAFETY: the event is alive, and the list that it lends is copied.
    let (code, lines) = unsafe {
        let lines = list::lines(rd::rd_kafka_event_topic_partition_list(event.raw()));
        (rd::rd_kafka_event_error(event.raw()), lines)
    };
    if let Some((name, code)) = lines.into_iter().find_map(|line| Some((line.partition, line.error?))) {
        return Err(refusal(code, &format!("position of {name}")));
    }
    if code == OK { Ok(()) } else { Err(refusal(code, "positions")) }
}

fn refusal(code: Code, what: &str) -> BrokerError {
    let message = format!("{what}: {}", explain(code));
    match code {
        Code::RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID
        | Code::RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION
        | Code::RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS => {
            BrokerError::abort(format!("{message}: the group has members; stop them first"))
        }
        Code::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED
        | Code::RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED
        | Code::RD_KAFKA_RESP_ERR_OFFSET_METADATA_TOO_LARGE
        | Code::RD_KAFKA_RESP_ERR_INVALID_GROUP_ID
        | Code::RD_KAFKA_RESP_ERR__FATAL => BrokerError::fatal(message),
        _ => BrokerError::retry(message),
    }
}
