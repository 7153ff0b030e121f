//! What a read_committed reader has seen of a case, as rows: results, late records, dead letters.

use super::stage::SimLane;
use crate::broker::Outlet;
use crate::config::cases::{Cell, Fated, Place, Record, Row, Value};
use crate::fate::{Fate, FateCounts, Reason};
use crate::sim::{Cluster, Isolation, Stored};
use crate::task::ClosedBy;

/// A record of the case, and where it went.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) record: Record,
    pub(super) place: Place,
    pub(super) offset: i64,
}

/// A late record or a dead letter.
#[derive(Debug)]
pub(super) struct Refused {
    /// Index of the record in [`Seen::sent`].
    pub(super) sent: usize,
    pub(super) reason: Reason,
    pub(super) row: Row,
}

/// Numbers of what was looked at.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Judged {
    pub(super) sent: usize,
    pub(super) windows: usize,
    pub(super) refused: usize,
    pub(super) fates: FateCounts,
}

/// Everything so far.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// The records of the case, in order.
    pub(super) sent: Vec<Sent>,
    /// All results.
    pub(super) windows: Vec<Row>,
    /// All late records and dead letters.
    pub(super) refused: Vec<Refused>,
    /// How much of it an expectation has looked at already.
    pub(super) judged: Judged,
    /// What each outlet held at the last look, and the end of its log then.
    read: [(usize, i64); 3],
}

impl Seen {
    /// Takes what has become visible in one outlet; `lane` has just made a step, and released nothing of it yet.
    pub(super) fn read(&mut self, cluster: &Cluster, outlet: Outlet, topic: &str, lane: &SimLane) {
        let Some((_, ends)) = cluster.bounds(topic, 0) else { return };
        let at = &mut self.read[outlet as usize]; // three outlets
        if at.1 == ends.high_watermark {
            return;
        }
        let records = cluster.read(topic, 0, Isolation::Committed);
        let before = at.0;
        *at = (records.len(), ends.high_watermark);
        for record in records.iter().skip(before) {
            match outlet {
                Outlet::Sink => self.windows.push(window(record, lane)),
                Outlet::Late | Outlet::DeadLetter => self.refused.extend(self.refused(record)),
            }
        }
    }

    fn refused(&self, record: &Stored) -> Option<Refused> {
        let topic = header(record, "tidemill.topic")?;
        let partition: i32 = header(record, "tidemill.partition")?.parse().ok()?;
        let offset: i64 = header(record, "tidemill.offset")?.parse().ok()?;
        let word = header(record, "tidemill.reason")?;
        let reason = Reason::ALL.into_iter().find(|reason| reason.as_str() == word)?;
        let is_it =
            |sent: &Sent| sent.record.topic == topic && sent.record.partition == partition && sent.offset == offset;
        let sent = self.sent.iter().position(is_it)?;
        let mut row = self.sent.get(sent)?.record.row();
        row.push("reason", Value::Text(word));
        row.push("detail", Value::Text(header(record, "tidemill.detail").unwrap_or_default()));
        Some(Refused { sent, reason, row })
    }

    /// What became of a record that has been judged.
    pub(super) fn fate(&self, index: usize) -> Fated {
        let refused = self.refused.iter().find(|refused| refused.sent == index);
        let is_tombstone = self.sent.get(index).is_some_and(|sent| sent.record.value.is_none());
        match refused {
            Some(refused) => Fated::Refused(refused.reason),
            None if is_tombstone => Fated::Refused(Reason::Tombstone),
            None => Fated::Merged,
        }
    }
}

impl Refused {
    pub(super) fn is_late(&self) -> bool {
        self.reason.fate() == Fate::Late
    }
}

impl Record {
    /// Its key, its place and its time.
    pub(super) fn row(&self) -> Row {
        let mut row = Row::default();
        row.push("key", self.key.clone().map_or(Value::Null, Value::Text));
        row.push("topic", Value::Text(self.topic.clone()));
        row.push("partition", Value::Number(self.partition.to_string()));
        row.push("at", self.at_ms.map_or(Value::Null, Value::Time));
        row
    }
}

/// A result with its times as times, and what closed it.
fn window(record: &Stored, lane: &SimLane) -> Row {
    let text = String::from_utf8_lossy(record.value.as_deref().unwrap_or_default()).into_owned();
    let Some(mut row) = Row::of_json(&text) else {
        return Row { cells: vec![Cell { name: "result".to_owned(), value: Value::Text(text) }], ..Row::default() };
    };
    as_times(&mut row);
    let by = closed_by(&row, lane)
        .map_or(Value::Null, |by| Value::Text(if by == ClosedBy::Idle { "idle" } else { "watermark" }.to_owned()));
    if row.get("closed_by").is_none() {
        row.push("closed_by", by);
    }
    row
}

/// Start and end are times.
pub(super) fn as_times(row: &mut Row) {
    for cell in row.cells.iter_mut().filter(|cell| matches!(cell.name.as_str(), "window_start" | "window_end")) {
        if let Value::Number(text) = &cell.value
            && let Ok(ms) = text.parse()
        {
            cell.value = Value::Time(ms);
        }
    }
}

fn closed_by(row: &Row, lane: &SimLane) -> Option<ClosedBy> {
    let (Some(Value::Text(topic)), Some(Value::Number(partition)), Some(Value::Time(end_ms))) =
        (row.get("topic"), row.get("partition"), row.get("window_end"))
    else {
        return None;
    };
    let mut tasks = lane.holdings().filter_map(|holding| holding.task());
    let task =
        tasks.find(|task| *task.partition.topic == **topic && task.partition.partition.to_string() == *partition)?;
    task.closed.iter().find(|closed| closed.end_ms == *end_ms).map(|closed| closed.by)
}

fn header(record: &Stored, name: &str) -> Option<String> {
    let found = record.headers.iter().rfind(|(other, _)| other == name.as_bytes())?;
    found.1.as_ref().map(|value| String::from_utf8_lossy(value).into_owned())
}
