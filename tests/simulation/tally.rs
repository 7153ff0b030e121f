//! What happened in a run, so that a test can see that enough did.

/// Lanes, faults and what they led to.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    pub lanes: usize,
    pub crashes: usize,
    pub stops: usize,
    pub faults: u64,
    pub closed_by_idle: u64,
    pub closed_by_watermark: u64,
    pub aborted: u64,
    pub unknown: u64,
    /// Buffers that found no room, tasks that were held for it, runs that needed more to come to their end.
    pub refused: u64,
    pub holds: u64,
    pub loosened: usize,
}

impl Tally {
    pub fn add(&mut self, other: &Self) {
        let Self { lanes, crashes, stops, faults, closed_by_idle, closed_by_watermark, aborted, unknown, .. } = other;
        self.lanes += lanes;
        self.crashes += crashes;
        self.stops += stops;
        self.faults += faults;
        self.closed_by_idle += closed_by_idle;
        self.closed_by_watermark += closed_by_watermark;
        self.aborted += aborted;
        self.unknown += unknown;
        self.refused += other.refused;
        self.holds += other.holds;
        self.loosened += other.loosened;
    }
}
