//! The smallest correct lane: copies every record of its partitions to the sink, exactly once.
//!
//! After any doubt it throws its work away and goes on from what the group has committed. It exists to show that the
//! in-memory broker asks nothing impossible of a lane, and that it catches a lane that does one thing wrong.

use std::collections::BTreeMap;
use std::time::Duration;
use tidemill::broker::{
    Broker, CommitOffset, Committed, Event, Headers, Outgoing, Outlet, ProduceError, RecordBatch, Slot, Start,
    TopicPartition,
};
use tidemill::error::{BrokerError, ErrorKind};
use tidemill::sim::{ClientOptions, Cluster, Injector, SimClient};

/// One thing that a lane may do wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    None,
    /// Takes a commit without an answer for one that happened.
    BelievesSilence,
    /// Takes a commit without an answer for one that did not happen, and goes on from memory.
    DeniesSilence,
    /// Keeps records of partitions that it has lost.
    KeepsLostWork,
    /// Does not look whether offsets go back.
    TakesRedelivery,
    /// Gives a partition back and commits its records afterwards.
    CommitsAfterRevoke,
    /// Sends no offsets with its records.
    ForgetsOffsets,
    /// Drops a record when the queue is full.
    DropsWhenFull,
}

struct Task {
    partition: TopicPartition,
    /// Next offset that is expected.
    next: i64,
    waiting: Vec<(i64, Vec<u8>)>,
}

pub struct Copier {
    cluster: Cluster,
    options: ClientOptions,
    mistake: Mistake,
    client: SimClient,
    has_producer: bool,
    gained: Vec<TopicPartition>,
    revoked: Vec<TopicPartition>,
    tasks: BTreeMap<Slot, Task>,
    next_slot: Slot,
    batch: RecordBatch,
    /// Times that the client had to be replaced.
    pub crashes: u32,
}

impl Copier {
    pub fn new(cluster: &Cluster, options: ClientOptions, mistake: Mistake) -> Self {
        Self {
            client: cluster.client(options.clone()),
            cluster: cluster.clone(),
            options,
            mistake,
            has_producer: false,
            gained: Vec::new(),
            revoked: Vec::new(),
            tasks: BTreeMap::new(),
            next_slot: 0,
            batch: RecordBatch::new(1 << 16, 64),
            crashes: 0,
        }
    }

    pub fn injector(&self) -> Injector {
        self.client.injector()
    }

    /// One round. What is doubtful afterwards is thrown away.
    pub fn step(&mut self) {
        if let Err(error) = self.try_step() {
            if self.client.is_dead() {
                self.restart();
            } else if error.kind == ErrorKind::Fatal {
                self.has_producer = false;
            }
        }
    }

    /// A new process in the place of the old one, with other dice.
    fn restart(&mut self) {
        self.crashes += 1;
        self.options.faults.seed = self.options.faults.seed.wrapping_add(1_000_003);
        let crashes = self.crashes;
        *self = Self { crashes, ..Self::new(&self.cluster, self.options.clone(), self.mistake) };
    }

    fn try_step(&mut self) -> Result<(), BrokerError> {
        if !self.has_producer {
            self.client.renew_producer(false)?;
            self.has_producer = true;
            self.rewind();
        }
        self.poll()?;
        self.restore()?;
        if self.tasks.values().any(|task| !task.waiting.is_empty()) {
            match self.tide() {
                Ok(()) => self.tasks.values_mut().for_each(|task| task.waiting.clear()),
                Err(error) => self.settle(error)?,
            }
        }
        if !self.revoked.is_empty() {
            let revoked = std::mem::take(&mut self.revoked);
            self.drop_tasks(&revoked);
            self.client.unassign(&revoked)?;
        }
        Ok(())
    }

    fn poll(&mut self) -> Result<(), BrokerError> {
        let mut events = Vec::new();
        self.batch.clear();
        self.client.poll(&mut self.batch, &mut events, Duration::ZERO)?;
        let mut repeated = Vec::new();
        for record in self.batch.iter() {
            let Some(task) = self.tasks.get_mut(&record.slot) else { continue };
            if record.offset < task.next && self.mistake != Mistake::TakesRedelivery {
                repeated.push((record.slot, task.next));
                continue;
            }
            task.next = record.offset + 1;
            task.waiting.push((record.offset, record.value.unwrap_or_default().to_vec()));
        }
        for (slot, next) in repeated {
            // Only for the sake of the call: the records that follow would be right anyhow.
            let _ = self.client.seek(slot, next);
        }
        for event in events {
            match event {
                Event::Assigned(partitions) => self.gained.extend(partitions),
                Event::Revoked(partitions) if self.mistake == Mistake::CommitsAfterRevoke => {
                    self.client.unassign(&partitions)?;
                }
                Event::Revoked(partitions) => self.revoked.extend(partitions),
                Event::Lost(partitions) => {
                    if self.mistake != Mistake::KeepsLostWork {
                        self.drop_tasks(&partitions);
                    }
                    self.revoked.clear();
                    self.client.unassign(&partitions)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn drop_tasks(&mut self, partitions: &[TopicPartition]) {
        self.tasks.retain(|_, task| !partitions.contains(&task.partition));
        self.gained.retain(|partition| !partitions.contains(partition));
    }

    /// Forgets everything that is not committed: all partitions are gained anew.
    fn rewind(&mut self) {
        self.gained.extend(self.tasks.values().map(|task| task.partition.clone()));
        for task in self.tasks.values_mut() {
            task.waiting.clear();
        }
    }

    /// Reading goes on where the group says, for every partition that was gained or rewound.
    fn restore(&mut self) -> Result<(), BrokerError> {
        if self.gained.is_empty() {
            return Ok(());
        }
        let committed = self.client.committed(&self.gained)?;
        for (partition, committed) in self.gained.clone().into_iter().zip(committed) {
            let offset = committed.map_or(0, |committed| committed.offset);
            match self.tasks.iter_mut().find(|(_, task)| task.partition == partition) {
                Some((&slot, task)) => {
                    self.client.seek(slot, offset)?;
                    task.next = offset;
                    task.waiting.clear();
                }
                None => {
                    let slot = self.next_slot;
                    self.next_slot += 1;
                    self.client.assign(&[Start { partition: partition.clone(), slot, offset }])?;
                    self.tasks.insert(slot, Task { partition: partition.clone(), next: offset, waiting: Vec::new() });
                }
            }
            self.gained.retain(|gained| *gained != partition);
        }
        Ok(())
    }

    fn tide(&mut self) -> Result<(), BrokerError> {
        self.repeat(SimClient::begin)?;
        let mut offsets = Vec::new();
        for task in self.tasks.values().filter(|task| !task.waiting.is_empty()) {
            for (offset, value) in &task.waiting {
                let key = format!("{}@{offset}", task.partition);
                let record = Outgoing {
                    outlet: Outlet::Sink,
                    partition: 0,
                    timestamp_ms: 1,
                    key: Some(key.as_bytes()),
                    value: Some(value),
                    headers: Headers::default(),
                    token: 0,
                };
                while let Err(error) = self.client.produce(&record) {
                    match error {
                        ProduceError::Full if self.mistake == Mistake::DropsWhenFull => break,
                        ProduceError::Full => {}
                        ProduceError::Refused(reason) => panic!("refused: {reason}"),
                        ProduceError::Broker(error) => return Err(error),
                    }
                }
            }
            let committed = Committed { offset: task.next, metadata: "copied".to_owned() };
            offsets.push(CommitOffset { partition: task.partition.clone(), committed });
        }
        if self.mistake != Mistake::ForgetsOffsets {
            self.repeat(|client| client.send_offsets(&offsets))?;
        }
        match (self.repeat(SimClient::commit), self.mistake) {
            (Err(error), Mistake::BelievesSilence) if error.message.contains("timed out") => {
                self.client.renew_producer(false)
            }
            (Err(error), Mistake::DeniesSilence) if error.message.contains("timed out") => {
                self.client.renew_producer(false)?;
                self.tide()
            }
            (result, _) => result,
        }
    }

    /// After a tide that failed: abort it if that is what it wants; drop the producer; then ask the group.
    fn settle(&mut self, error: BrokerError) -> Result<(), BrokerError> {
        if error.kind == ErrorKind::Abort {
            let _ = self.repeat(SimClient::abort);
        }
        self.has_producer = false;
        self.rewind();
        if self.client.is_dead() { Err(error) } else { Ok(()) }
    }

    /// The same call again while it says so; in the end the outcome is unknown.
    fn repeat(&mut self, call: impl Fn(&mut SimClient) -> Result<(), BrokerError>) -> Result<(), BrokerError> {
        let mut result = call(&mut self.client);
        for _ in 0..20 {
            match &result {
                Err(error) if error.kind == ErrorKind::Retry => result = call(&mut self.client),
                _ => break,
            }
        }
        result
    }
}
