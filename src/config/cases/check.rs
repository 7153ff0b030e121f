//! Cases held against their pipeline: times become instants, records become bytes, rows may name what there is.

use super::values::{Fated, Json, Members, Moment, Payload, Rows, Word};
use super::{Case, Cell, Does, Expect, Place, Record, Row, Step, Style, Value, written};
use crate::config::complaint::Complaints;
use crate::config::node::{Kind, Node, Span, Value as NodeValue};
use crate::config::read::{At, Read, one_of};
use crate::config::{Config, TimeFormat, TimeSource};
use crate::fate::{Fate, Reason};
use std::collections::BTreeSet;
use std::time::Duration;

/// Makes everything visible that a case may expect: late records and dead letters that the pipeline drops, and where
/// results come from. Nothing of it decides a fate or a window.
pub(super) fn prepare(config: &mut Config) {
    // No topic that could be read has a space in its name.
    config.late.get_or_insert_with(|| format!("{} late", config.sink.topic));
    config.dead_letter.get_or_insert_with(|| format!("{} dead", config.sink.topic));
    config.sink.with_partition = true;
    config.topics.many = true;
    config.commit.interval = Duration::ZERO;
}

pub(super) fn cases(file: written::Cases, config: &Config, out: &mut Complaints) -> Vec<Case> {
    let cases = file.cases.map(|cases| cases.value).unwrap_or_default();
    let mut names = BTreeSet::new();
    let mut checked = Vec::new();
    for case in cases {
        if let Some(name) = &case.value.name
            && !names.insert(name.value.0.clone())
        {
            out.error(name.span, "another case has this name")
                .help("a name is how --filter and reports tell cases apart");
        }
        checked.extend(one(case, config, out));
    }
    checked
}

/// Where a case stands while it is read.
struct Reader<'a> {
    config: &'a Config,
    start_ms: i64,
    /// The clock.
    now_ms: i64,
    offsets: bool,
}

fn one(at: At<written::Case>, config: &Config, out: &mut Complaints) -> Option<Case> {
    let case = at.value;
    let start_ms = case.start?.value.0;
    let mut reader = Reader { config, start_ms, now_ms: start_ms, offsets: true };
    let (mut steps, mut last_step) = (Vec::new(), Place::default());
    for step in case.steps?.value {
        last_step = place(step.span, out);
        reader.step(step, &mut steps, out);
    }
    if let Some(expect) = case.expect {
        let expect = reader.expectation(expect, out);
        steps.push(Step { place: expect.place, does: Does::Expect(expect) });
    }
    let style = Style { start_ms, offsets: reader.offsets };
    let name = case.name?;
    Some(Case { name: name.value.0, place: place(name.span, out), style, steps, last_step })
}

impl Reader<'_> {
    fn step(&mut self, step: At<written::Step>, steps: &mut Vec<Step>, out: &mut Complaints) {
        let here = place(step.span, out);
        let mut push = |place, does| steps.push(Step { place, does });
        let keys = match step.value {
            written::Step::Word(Word::Crash) => return push(here, Does::Crash),
            written::Step::Word(Word::Rebalance) => return push(here, Does::Rebalance),
            written::Step::Keys(keys) => *keys,
        };
        let records = keys.records.map(|records| records.value).unwrap_or_default();
        for record in keys.record.into_iter().chain(records) {
            let place = place(record.span, out);
            if let Some(record) = self.record(record, out) {
                push(place, Does::Record(record));
            }
        }
        if let Some(late) = keys.late {
            if let Some(fate) = late.value.fate.filter(|fate| fate.value != Fated::Refused(Reason::Late)) {
                out.error(fate.span, "the record of a step `late` must be late")
                    .help("write `record` for any other fate");
            }
            if let Some(mut record) = self.record(late, out) {
                record.fate = Some((Fated::Refused(Reason::Late), None));
                push(here, Does::Record(record));
            }
        }
        if let Some(ms) = keys.advance {
            self.now_ms = self.now_ms.saturating_add(ms.value.0);
            push(here, Does::Advance(ms.value.0));
        }
        if let Some(ms) = keys.silence {
            self.now_ms = self.now_ms.saturating_add(ms.value.0);
            push(here, Does::Silence(ms.value.0));
        }
        if let Some(expect) = keys.expect {
            let expect = self.expectation(expect, out);
            push(expect.place, Does::Expect(expect));
        }
    }

    fn record(&mut self, record: At<written::Record>, out: &mut Complaints) -> Option<Record> {
        let (span, record) = (record.span, record.value);
        let topic = self.topic(record.topic.as_ref().map(|topic| (topic.value.0.as_str(), topic.span)), span, out)?;
        let at_ms = record.at.map(|at| self.ms(at.value));
        let due_ms = record.arrives.map(|at| self.ms(at.value));
        if due_ms.is_some_and(|due_ms| due_ms < self.now_ms) {
            let style = Style { start_ms: self.start_ms, offsets: self.offsets };
            let span = record.arrives.map_or(span, |at| at.span);
            out.error(span, format!("the clock has gone on to {} already", style.time(self.now_ms)))
                .help("records arrive in the order of the file");
        }
        self.now_ms = due_ms.or(at_ms).unwrap_or(self.now_ms).max(self.now_ms);
        let value = match record.value.map(|value| value.value) {
            Some(Payload::Null) => None,
            Some(Payload::Raw(text)) => Some(text),
            Some(Payload::Json(json)) => Some(self.json(json, at_ms, record.at.map_or(span, |at| at.span), out)),
            None => Some(self.json(Json::Map(Vec::new()), at_ms, record.at.map_or(span, |at| at.span), out)),
        };
        Some(Record {
            topic,
            partition: record.partition.map_or(0, |partition| partition.value.0),
            key: record.key?.value.0,
            value,
            at_ms,
            arrives_ms: self.now_ms,
            fate: record.fate.map(|fate| (fate.value, Some(place(fate.span, out)))),
        })
    }

    fn ms(&mut self, moment: Moment) -> i64 {
        self.offsets &= matches!(moment, Moment::Offset(_));
        moment.ms(self.start_ms)
    }

    /// The topic that is meant, if the pipeline reads it.
    fn topic(&self, named: Option<(&str, Span)>, span: Span, out: &mut Complaints) -> Option<String> {
        let patterns = &self.config.topics.patterns;
        let reads = |topic: &str| {
            let expression = |pattern: &str| regex::Regex::new(pattern).is_ok_and(|regex| regex.is_match(topic));
            patterns.iter().any(|pattern| pattern == topic || (pattern.starts_with('^') && expression(pattern)))
        };
        match (named, patterns.as_slice()) {
            (Some((topic, _)), _) if reads(topic) => Some(topic.to_owned()),
            (Some((topic, span)), _) => {
                out.error(span, format!("the pipeline does not read `{topic}`"))
                    .help(format!("it reads {}", patterns.join(", ")));
                None
            }
            (None, [only]) if !only.starts_with('^') => Some(only.clone()),
            (None, _) => {
                out.error(span, "the pipeline reads several topics: into which does this record go?")
                    .help("add `topic: NAME` to the record");
                None
            }
        }
    }

    /// The value as bytes, with its time in it.
    fn json(&self, mut json: Json, at_ms: Option<i64>, span: Span, out: &mut Complaints) -> String {
        if let (Some(at_ms), TimeSource::Field { path, format }) = (at_ms, &self.config.pipeline.time) {
            if *format == TimeFormat::UnixS && at_ms % 1000 != 0 {
                out.error(span, "`source.time.format` is unix_s: only whole seconds can be written")
                    .help("drop the fraction");
            }
            json.put(path, time(at_ms, *format));
        }
        let mut text = String::new();
        json.write(&mut text);
        text
    }

    fn expectation(&mut self, expect: At<written::Expect>, out: &mut Complaints) -> Expect {
        let aggregates = self.config.pipeline.aggregates.clone();
        let aggregates: Vec<&str> = aggregates.iter().map(|aggregate| aggregate.name.as_str()).collect();
        let result = ["key", "topic", "partition", "window_start", "window_end"];
        let windows = [&result[..], &aggregates, &["closed_by"]].concat();
        let open = [&result[..], &aggregates].concat();
        let rejected = ["key", "topic", "partition", "at", "reason", "detail"];
        let (place, expect) = (place(expect.span, out), expect.value);
        let mut rows = |rows: Option<At<Rows>>, known: &[&str], aggregates: &[&str], out: &mut Complaints| {
            let rows = rows.map(|rows| rows.value.0);
            rows.map(|rows| {
                rows.into_iter().filter_map(|row| self.row(row, known, aggregates, out)).collect::<Vec<_>>()
            })
        };
        let windows = rows(expect.windows, &windows, &aggregates, out).unwrap_or_default();
        let late = rows(expect.late, &rejected, &[], out).unwrap_or_default();
        let dead = rows(expect.dead, &rejected, &[], out).unwrap_or_default();
        let open = rows(expect.open, &open, &aggregates, out);
        let fates = expect.fates.and_then(|fates| counts(fates, out));
        Expect { place, windows, late, dead, open, fates }
    }

    fn row(&mut self, row: At<Members>, known: &[&str], aggregates: &[&str], out: &mut Complaints) -> Option<Row> {
        let before = out.count();
        let mut cells = Vec::new();
        for member in &row.value.0 {
            let name = member.name.as_str();
            if !known.contains(&name) {
                out.error(member.name_span, format!("unknown name `{}`", name.escape_debug()))
                    .help(one_of(known, name));
                continue;
            }
            let node = Node { span: member.span, value: NodeValue::Scalar(member.scalar.clone()) };
            let text = || Value::Text(member.scalar.written.clone());
            let is_null = member.scalar.kind() == Kind::Null;
            let value = match name {
                name if aggregates.contains(&name) => Value::of(&member.scalar),
                "window_start" | "window_end" | "at" if !is_null => match Moment::read(&node, out) {
                    Some(moment) => Value::Time(self.ms(moment)),
                    None => continue,
                },
                "reason" => word(&node, &Fated::WORDS[1..], out).unwrap_or(Value::Null),
                "closed_by" => word(&node, &["watermark", "idle"], out).unwrap_or(Value::Null),
                "key" | "topic" | "detail" if !is_null => text(),
                _ => Value::of(&member.scalar),
            };
            cells.push(Cell { name: name.to_owned(), value });
        }
        let has = |name: &str| row.value.0.iter().any(|member| member.name == name);
        if !has("key") {
            out.error(row.span, "a row needs its `key`").help("`key: null` for a record without one");
        }
        if known.contains(&"window_start") && !has("window_start") && !has("window_end") {
            out.error(row.span, "a window needs its `window_start` or its `window_end`");
        }
        (out.count() == before).then(|| Row { place: place(row.span, out), cells })
    }
}

/// Names of counts: fates, and reasons that are no fate of their own.
pub(super) fn count_names() -> Vec<&'static str> {
    let fates = Fate::ALL.into_iter().rev().map(Fate::as_str);
    let reasons = Reason::ALL.into_iter().filter(|reason| *reason != Reason::Late).map(Reason::as_str);
    ["read", "partly_late"].into_iter().chain(fates).chain(reasons).collect()
}

fn counts(fates: At<Members>, out: &mut Complaints) -> Option<Row> {
    let (before, known) = (out.count(), count_names());
    for member in &fates.value.0 {
        if !known.contains(&member.name.as_str()) {
            let name = member.name.escape_debug().to_string();
            out.error(member.name_span, format!("unknown name `{name}`")).help(one_of(&known, &member.name));
        } else if member.scalar.written.parse::<u32>().is_err() {
            out.error(member.span, format!("`{}` is not a number of records", member.scalar.shown()));
        }
    }
    let cell = |member: super::values::Member| Cell { value: Value::of(&member.scalar), name: member.name };
    let place = place(fates.span, out);
    (out.count() == before).then(|| Row { place, cells: fates.value.0.into_iter().map(cell).collect() })
}

/// One of some words.
fn word(node: &Node, words: &[&str], out: &mut Complaints) -> Option<Value> {
    let NodeValue::Scalar(scalar) = &node.value else { return None };
    if !words.contains(&scalar.written.as_str()) {
        let shown = scalar.shown();
        out.error(node.span, format!("`{shown}` is none of its words")).help(one_of(words, &shown));
        return None;
    }
    Some(Value::Text(scalar.written.clone()))
}

fn time(at_ms: i64, format: TimeFormat) -> Json {
    let at = i128::from(at_ms);
    match format {
        TimeFormat::UnixS => Json::Word((at / 1000).to_string()),
        TimeFormat::UnixMs => Json::Word(at.to_string()),
        TimeFormat::UnixUs => Json::Word((at * 1000).to_string()),
        TimeFormat::UnixNs => Json::Word((at * 1_000_000).to_string()),
        TimeFormat::Rfc3339 => Json::Text(Style { start_ms: 0, offsets: false }.time(at_ms)),
    }
}

fn place(span: Span, out: &Complaints) -> Place {
    let (line, column) = out.place(span);
    Place { line, column, bytes: (span.start, span.end) }
}
