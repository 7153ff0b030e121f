//! What happens to the cluster while a worker runs.

use super::load::Load;
use crate::stage::Stage;
use std::time::{Duration, Instant};

/// How long it lasts.
const LENGTH: Duration = Duration::from_secs(8);
const IN_SYNC: &str = "min.insync.replicas";

/// The trouble that belongs to a load, if any.
pub struct Trouble<'a> {
    stage: &'a Stage<'a>,
    load: Load,
    since: Option<Instant>,
    over: bool,
}

impl<'a> Trouble<'a> {
    /// Begins at once, where results must not get through.
    pub fn new(stage: &'a Stage<'a>, load: Load) -> Self {
        let mut trouble = Self { stage, load, since: None, over: false };
        if let Load::BlockedSink(_) = load {
            trouble.demand_replicas(2);
            trouble.since = Some(Instant::now());
        }
        trouble
    }

    /// Goes on: `results` are visible.
    pub fn step(&mut self, results: u64) {
        match (self.load, self.since) {
            (Load::StalledBroker(_), None) if results > 0 => {
                self.stage.kafka.pause();
                self.since = Some(Instant::now());
            }
            (Load::StalledBroker(_), Some(since)) if !self.over && since.elapsed() >= LENGTH => {
                self.stage.kafka.go_on();
                self.over = true;
            }
            (Load::BlockedSink(_), Some(since)) if !self.over && since.elapsed() >= LENGTH => {
                assert_eq!(results, 0, "the topic of results took something");
                self.demand_replicas(1);
                self.over = true;
            }
            _ => {}
        }
    }

    /// True if it came and went, or there was none to come.
    pub fn is_over(&self) -> bool {
        self.over || !matches!(self.load, Load::StalledBroker(_) | Load::BlockedSink(_))
    }

    /// With two, the topic of results takes nothing: it has one.
    fn demand_replicas(&self, number: u32) {
        let stage = self.stage;
        stage.kafka.admin("").set_topic_config(&stage.sink, IN_SYNC, &number.to_string()).unwrap();
    }
}
