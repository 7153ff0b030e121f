//! What happens to the cluster while a worker runs.

use super::load::Load;
use crate::proxy::{PRODUCE, Proxy};
use crate::support::kafka::Kafka;
use std::time::{Duration, Instant};

/// How long it lasts.
const LENGTH: Duration = Duration::from_secs(8);

/// A cluster, and for some loads a proxy between it and the worker, at this address.
pub struct Cluster<'a> {
    pub kafka: &'a Kafka,
    pub proxy: Option<(&'a Proxy, String)>,
}

impl Cluster<'static> {
    /// The broker that most tests share.
    pub fn shared() -> Self {
        Self { kafka: Kafka::shared(), proxy: None }
    }
}

/// The trouble that belongs to a load, if any.
pub struct Trouble<'a> {
    cluster: &'a Cluster<'a>,
    load: Load,
    since: Option<Instant>,
    over: bool,
}

impl<'a> Trouble<'a> {
    /// Begins at once, where results must not get through.
    pub fn new(cluster: &'a Cluster<'a>, load: Load) -> Self {
        let mut trouble = Self { cluster, load, since: None, over: false };
        if let Load::BlockedSink(_) = load {
            trouble.block(Some(PRODUCE));
            trouble.since = Some(Instant::now());
        }
        trouble
    }

    /// Goes on: `results` are visible.
    pub fn step(&mut self, results: u64) {
        let lasted = !self.over && self.since.is_some_and(|since| since.elapsed() >= LENGTH);
        match self.load {
            Load::StalledBroker(_) if self.since.is_none() && results > 0 => {
                self.cluster.kafka.pause();
                self.since = Some(Instant::now());
            }
            Load::StalledBroker(_) if lasted => {
                self.cluster.kafka.go_on();
                self.over = true;
            }
            Load::BlockedSink(_) if lasted => {
                assert_eq!(results, 0, "results got through");
                self.block(None);
                self.over = true;
            }
            _ => {}
        }
    }

    /// True if it came and went, or there was none to come.
    pub fn is_over(&self) -> bool {
        self.over || !matches!(self.load, Load::StalledBroker(_) | Load::BlockedSink(_))
    }

    fn block(&self, kind: Option<i16>) {
        let proxy = self.cluster.proxy.as_ref();
        proxy.unwrap_or_else(|| panic!("results can only be blocked by a proxy")).0.block(kind);
    }
}
