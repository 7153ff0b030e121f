//! Questions of a lane that take a round trip: asked once, waited for in slices, answered from what has arrived.
//!
//! An answer is handed out once, and only if nothing has happened since the question that could make it stale.

use super::events::Queue;
use super::native::{Client, Code, explain};
use super::positions::Fetch;
use super::replies::{Reply, Topic};
use super::requests::{Mailbox, Which};
use crate::broker::{Committed, Ends, Event, Slot, TopicPartition};
use crate::error::BrokerError;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a call waits before it says "again".
const SLICE: Duration = Duration::from_millis(10);
/// How long the broker has for an answer that the lane waits for; then it is asked anew.
const PATIENCE: Duration = Duration::from_secs(5);

/// The open questions of one client.
pub(super) struct Questions {
    mailbox: Mailbox,
    committed: Option<(Vec<TopicPartition>, Fetch)>,
    open: HashMap<Question, Asked>,
    ends: Vec<AskedEnds>,
}

/// A question, and its own key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Question {
    Earliest(TopicPartition),
    Topic(String),
}

struct Asked {
    id: u64,
    reply: Option<Reply>,
}

/// A question for both ends of some partitions.
struct AskedEnds {
    slots: Vec<(Slot, TopicPartition)>,
    stable: (u64, Option<Reply>),
    high: (u64, Option<Reply>),
    since: Instant,
}

impl Questions {
    pub(super) fn new(client: &Arc<Client>) -> Result<Self, BrokerError> {
        Ok(Self { mailbox: Mailbox::new(client)?, committed: None, open: HashMap::new(), ends: Vec::new() })
    }

    pub(super) fn queue(&self) -> &Queue {
        self.mailbox.queue()
    }

    /// Forgets all questions except those about ends: what was asked before may not be true after.
    pub(super) fn forget(&mut self) {
        self.committed = None;
        self.open.clear();
    }

    /// What the group has committed.
    pub(super) fn committed(&mut self, partitions: &[TopicPartition]) -> Result<Vec<Option<Committed>>, BrokerError> {
        if partitions.is_empty() {
            return Ok(Vec::new());
        }
        let fetch = match self.committed.take() {
            Some((asked, fetch)) if asked == partitions => fetch,
            _ => Fetch::start(self.mailbox.queue().client(), partitions, PATIENCE),
        };
        fetch.wait(SLICE).unwrap_or_else(|| {
            self.committed = Some((partitions.to_vec(), fetch));
            Err(BrokerError::retry("the coordinator has not answered yet"))
        })
    }

    /// First offset that exists.
    pub(super) fn earliest(&mut self, partition: &TopicPartition) -> Result<i64, BrokerError> {
        match self.ask(Question::Earliest(partition.clone()))? {
            Reply::Offsets(lines) => match lines.first() {
                Some(line) if line.error.is_none() => {
                    line.offset.ok_or_else(|| BrokerError::retry(format!("{partition} has no first offset")))
                }
                Some(line) => {
                    Err(refusal(line.error.unwrap_or(Code::RD_KAFKA_RESP_ERR_UNKNOWN), &partition.to_string()))
                }
                None => Err(BrokerError::retry(format!("nobody answered about {partition}"))),
            },
            other => Err(unexpected(&other)),
        }
    }

    /// Identity and partitions of a topic.
    pub(super) fn topic(&mut self, name: &str) -> Result<Topic, BrokerError> {
        match self.ask(Question::Topic(name.to_owned()))? {
            Reply::Topics(topics) => match topics.into_iter().next() {
                Some(Ok(topic)) => Ok(topic),
                Some(Err((name, code))) => Err(refusal(code, &format!("topic `{name}`"))),
                None => Err(BrokerError::retry(format!("nobody answered about topic `{name}`"))),
            },
            other => Err(unexpected(&other)),
        }
    }

    /// Asks for the ends of partitions; the answers come from [`Self::serve`].
    pub(super) fn ask_ends(&mut self, slots: Vec<(Slot, TopicPartition)>) -> Result<(), BrokerError> {
        let names = slots.iter().map(|(_, name)| name.clone()).collect::<Vec<_>>();
        let stable = self.mailbox.offsets(&names, Which::Stable, PATIENCE)?;
        let high = self.mailbox.offsets(&names, Which::High, PATIENCE)?;
        self.ends.push(AskedEnds { slots, stable: (stable, None), high: (high, None), since: Instant::now() });
        Ok(())
    }

    /// Takes in what has arrived, without waiting, and reports ends.
    pub(super) fn serve(&mut self, events: &mut Vec<Event>) {
        self.receive(Duration::ZERO);
        self.ends.retain(|asked| {
            let overdue = asked.since.elapsed() > PATIENCE + PATIENCE;
            let answered = asked.stable.1.is_some() && asked.high.1.is_some();
            if answered || overdue {
                events.extend(asked.slots.iter().map(|(slot, name)| {
                    let ends = asked.stable_and_high(name);
                    Event::Ends { slot: *slot, ends }
                }));
            }
            !(answered || overdue)
        });
    }

    /// The answer to a question, if it comes within a slice.
    fn ask(&mut self, question: Question) -> Result<Reply, BrokerError> {
        if !self.open.contains_key(&question) {
            let id = match &question {
                Question::Earliest(partition) => {
                    self.mailbox.offsets(std::slice::from_ref(partition), Which::Earliest, PATIENCE)?
                }
                Question::Topic(name) => self.mailbox.topics(&[name], PATIENCE)?,
            };
            self.open.insert(question.clone(), Asked { id, reply: None });
        }
        let deadline = Instant::now() + SLICE;
        loop {
            if let Some(reply) = self.open.get_mut(&question).and_then(|asked| asked.reply.take()) {
                self.open.remove(&question);
                return match reply {
                    Reply::Failed(code, reason) => Err(refusal(code, &reason)),
                    reply => Ok(reply),
                };
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(BrokerError::retry("the cluster has not answered yet"));
            }
            self.receive(left);
        }
    }

    /// Sorts replies to their questions, waiting at most `timeout` for the first.
    fn receive(&mut self, mut timeout: Duration) {
        while let Some((id, reply)) = self.mailbox.next(timeout) {
            timeout = Duration::ZERO;
            if let Some(asked) = self.open.values_mut().find(|asked| asked.id == id) {
                asked.reply = Some(reply);
            } else if let Some(half) = self
                .ends
                .iter_mut()
                .flat_map(|asked| [&mut asked.stable, &mut asked.high])
                .find(|(asked, _)| *asked == id)
            {
                half.1 = Some(reply);
            }
        }
    }
}

impl AskedEnds {
    fn stable_and_high(&self, name: &TopicPartition) -> Option<Ends> {
        let find = |reply: &Option<Reply>| match reply {
            Some(Reply::Offsets(lines)) => {
                lines.iter().find(|line| line.partition == *name && line.error.is_none()).and_then(|line| line.offset)
            }
            _ => None,
        };
        Some(Ends { last_stable: find(&self.stable.1)?, high_watermark: find(&self.high.1)? })
    }
}

fn unexpected(reply: &Reply) -> BrokerError {
    BrokerError::fatal(format!("the client gave an answer of another kind: {reply:?}"))
}

/// Lack of permission will not heal within a deadline; everything else may.
fn refusal(code: Code, what: &str) -> BrokerError {
    let message = format!("{what}: {}", explain(code));
    match code {
        Code::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED
        | Code::RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED
        | Code::RD_KAFKA_RESP_ERR__FATAL => BrokerError::fatal(message),
        _ => BrokerError::retry(message),
    }
}
