//! The test file as written: every key of it, with what it means.
//!
//! These lines are the source of its schema and of what `tidemill test` accepts.

use super::super::complaint::Complaints;
use super::super::names::{Text, TopicName};
use super::super::node::{Node, Value};
use super::super::read::{At, Read};
use super::super::section::{KeyDoc, Keys, section, section_schema};
use super::super::units::Millis;
use super::values::{Fated, Key, Members, Moment, Partition, Payload, Rows, Start, Word};
use serde_json::json;

section! {
    /// Test cases of a tidemill pipeline: records in, windows out, in virtual time.
    Cases {
        /// The pipeline, relative to this file. Unless set: `x.yaml` for `x.test.yaml`.
        pipeline: optional Text,
        /// The cases; each begins with empty topics and a new group.
        cases: required Vec<At<Case>>,
    }
}

section! {
    /// One case: steps, and what they must lead to.
    Case {
        /// What it shows, as a sentence.
        name: required Text,
        /// Where its clock begins, and where offsets such as `90s` begin.
        start: preset Start = "2026-01-01T00:00:00Z",
        /// What happens, in order.
        steps: required Vec<At<Step>>,
        /// What is expected after the last step: the same as a last step `expect`.
        expect: optional Expect,
    }
}

/// One step: a word, or a mapping with one key.
#[derive(Debug)]
pub(super) enum Step {
    Word(Word),
    Keys(Box<StepKeys>),
}

impl Read for Step {
    fn schema() -> serde_json::Value {
        json!({ "anyOf": [
            { "title": "The worker dies without a commit, and another goes on from what is committed", "const": "crash" },
            { "title": "All partitions move to another worker, in good order", "const": "rebalance" },
            StepKeys::schema(),
        ] })
    }

    fn read(node: &Node, out: &mut Complaints) -> Option<Self> {
        match &node.value {
            Value::Scalar(_) => Word::read(node, out).map(Self::Word),
            _ => StepKeys::read(node, out).map(|keys| Self::Keys(Box::new(keys))),
        }
    }
}

section! {
    /// One step.
    StepKeys [exactly one of record, records, late, advance, silence, expect] {
        /// A record arrives.
        record: optional Record,
        /// Records arrive, one after another.
        records: optional Vec<At<Record>>,
        /// A record arrives that must be late.
        late: optional Record,
        /// The clock goes on while the stream is alive: nothing falls silent.
        advance: optional Millis,
        /// Nothing arrives for so long: what `window.idle` says happens.
        silence: optional Millis,
        /// What was committed since the last expectation. What happened and is expected nowhere is a failure, too.
        expect: optional Expect,
    }
}

section! {
    /// A record.
    Record {
        /// The key, as text; `null` for none.
        key: required Key,
        /// A mapping becomes JSON and gets its time from `at`; text goes out as it is; `null` is a tombstone. Unless set: `{}`.
        value: optional Payload,
        /// Its event time: put where `source.time` says unless the value has one, and its Kafka timestamp.
        at: optional Moment,
        /// When it arrives, on the clock. Unless set: at its own time, or now if that is past.
        arrives: optional Moment,
        /// The partition; 0 unless set.
        partition: optional Partition,
        /// The topic, where the pipeline has several.
        topic: optional TopicName,
        /// What must become of it: `merged`, `late`, or the reason of a dead letter or a tombstone.
        fate: optional Fated,
    }
}

section! {
    /// What was committed since the last expectation.
    Expect {
        /// Windows: members of the result, and `closed_by`, `watermark` or `idle`. What a row does not name is not compared.
        windows: optional Rows,
        /// Late records: `key`, `at`, `partition`, `topic`, `reason`, `detail`. Those with a `fate` need no row.
        late: optional Rows,
        /// Dead letters: the same.
        dead: optional Rows,
        /// Windows that are open, with what they hold. Compared only if it is there.
        open: optional Rows,
        /// Numbers of records: `read`, `merged`, `partly_late`, `ignored`, `dead`, `late`, or a reason. Compared only if there.
        fates: optional Members,
    }
}
