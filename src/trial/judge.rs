//! What was expected against what was seen since the last expectation; whatever is in the one and not in the other is a
//! difference.

use super::seen::{Judged, Refused, Sent, as_times};
use super::stage::Stage;
use crate::config::cases::{Expect, Place, Row, Value};
use crate::fate::{Fate, FateCounts, Reason};
use crate::lane::Stop;
use std::collections::BTreeSet;

/// Members by which a window is told from all others.
const WINDOW: &[&str] = &["key", "topic", "partition", "window_start", "window_end"];
/// Members by which a record is told from most others.
const RECORD: &[&str] = &["key", "topic", "partition", "at"];

/// One expectation, held against what was seen.
#[derive(Clone, Debug)]
pub struct Check {
    /// Where it stands; `None`: nothing was expected any more.
    pub place: Option<Place>,
    /// Where the two differ.
    pub groups: Vec<Group>,
    /// What the expectation would have to say.
    pub actual: Expect,
    /// Records with another fate than the one that is written there.
    pub fates: Vec<WrongFate>,
}

/// A record with another fate than the one that is written there.
#[derive(Clone, Copy, Debug)]
pub struct WrongFate {
    /// Where the record stands.
    pub record: Place,
    /// Where its fate does; `None` in a step `late`.
    pub written: Option<Place>,
    /// The right word.
    pub is: &'static str,
}

/// Differences of one kind.
#[derive(Clone, Debug)]
pub struct Group {
    /// The key of the expectation, or `record`.
    pub name: &'static str,
    /// What differs.
    pub differences: Vec<Difference>,
}

/// One difference.
#[derive(Clone, Debug)]
pub struct Difference {
    /// Where the expected row stands.
    pub place: Option<Place>,
    /// What was expected.
    pub expected: Option<Row>,
    /// What was seen.
    pub actual: Option<Row>,
    /// Why it was not seen.
    pub note: Option<String>,
}

impl Check {
    /// Whether it has failed.
    pub fn differs(&self) -> bool {
        !self.groups.is_empty()
    }
}

pub(super) fn judge(stage: &mut Stage<'_>, expect: &Expect, place: Option<Place>) -> Result<Check, Stop> {
    let before = stage.seen.judged;
    let fates = stage.fates();
    stage.seen.judged = Judged {
        sent: stage.seen.sent.len(),
        windows: stage.seen.windows.len(),
        refused: stage.seen.refused.len(),
        fates,
    };
    let shape = Shape::of(stage);
    let mut windows = stage.seen.windows.get(before.windows..).unwrap_or_default().to_vec();
    windows.sort_by_key(order);
    let refused = stage.seen.refused.get(before.refused..).unwrap_or_default();
    let listed = |is_late: bool| {
        let expected = if is_late { &expect.late } else { &expect.dead };
        let has_row = |refused: &Refused| expected.iter().any(|row| fits(row, &refused.row));
        let has_fate =
            |refused: &Refused| stage.seen.sent.get(refused.sent).is_some_and(|sent| sent.record.fate.is_some());
        let these = refused.iter().filter(|refused| refused.is_late() == is_late);
        these
            .filter(|refused| has_row(refused) || !has_fate(refused))
            .map(|refused| refused.row.clone())
            .collect::<Vec<_>>()
    };
    let (late, dead) = (listed(true), listed(false));
    let counts = counts(&before.fates, &fates);
    let (records, wrong) = records(stage, before.sent);
    let open = match &expect.open {
        Some(_) => Some(open(stage)?),
        None => None,
    };
    let mut groups = vec![Group { name: "record", differences: records }];
    let mut missing = pair(&expect.windows, &windows, WINDOW, &shape);
    for difference in missing.iter_mut().filter(|difference| difference.actual.is_none()) {
        difference.note = difference.expected.as_ref().map(|row| why_not(stage, row)).transpose()?;
    }
    groups.push(Group { name: "windows", differences: missing });
    groups.push(Group { name: "late", differences: pair(&expect.late, &late, RECORD, &shape) });
    groups.push(Group { name: "dead", differences: pair(&expect.dead, &dead, RECORD, &shape) });
    if let (Some(expected), Some(open)) = (&expect.open, &open) {
        groups.push(Group { name: "open", differences: pair(expected, open, WINDOW, &shape) });
    }
    if let Some(expected) = &expect.fates {
        let (expected, counts) = (std::slice::from_ref(expected), std::slice::from_ref(&counts));
        groups.push(Group { name: "fates", differences: pair(expected, counts, &[], &shape) });
    }
    groups.retain(|group| !group.differences.is_empty());
    let rows = |rows: Vec<Row>, expected: &[Row]| rows.iter().map(|row| shape.like(row, expected)).collect();
    let actual = Expect {
        place: expect.place,
        windows: rows(windows, &expect.windows),
        late: rows(late, &expect.late),
        dead: rows(dead, &expect.dead),
        open: open.map(|open| rows(open, expect.open.as_deref().unwrap_or_default())),
        fates: expect.fates.as_ref().map(|fates| shape.like(&counts, std::slice::from_ref(fates))),
    };
    Ok(Check { place, groups, actual, fates: wrong })
}

/// Which members a row of this case has.
struct Shape {
    topic: bool,
    partition: bool,
}

impl Shape {
    fn of(stage: &Stage<'_>) -> Self {
        let records = || stage.seen.sent.iter().map(|sent| &sent.record);
        let topics: BTreeSet<_> = records().map(|record| &record.topic).collect();
        Self { topic: topics.len() > 1, partition: records().any(|record| record.partition > 0) }
    }

    /// A row that was seen, as somebody would write it down.
    fn row(&self, row: &Row) -> Row {
        let is_shown = |name: &str| match name {
            "topic" => self.topic,
            "partition" => self.partition,
            "window_end" | "detail" => false,
            _ => true,
        };
        Row { place: row.place, cells: row.cells.iter().filter(|cell| is_shown(&cell.name)).cloned().collect() }
    }

    /// A row that was seen with the members that rows beside it name; as [`Self::row`] if there are none.
    fn like(&self, row: &Row, others: &[Row]) -> Row {
        if others.is_empty() {
            return self.row(row);
        }
        let mut like = Row { place: row.place, cells: Vec::new() };
        for name in others.iter().flat_map(|other| other.cells.iter().map(|cell| &cell.name)) {
            if let (None, Some(value)) = (like.get(name), row.get(name)) {
                let value = value.clone();
                like.push(name, value);
            }
        }
        like
    }
}

/// Whether a row that was seen is what a row expects.
fn fits(expected: &Row, actual: &Row) -> bool {
    expected.cells.iter().all(|cell| actual.get(&cell.name) == Some(&cell.value))
}

/// Pairs rows, those that say most first, and returns those that have no like.
fn pair(expected: &[Row], actual: &[Row], identity: &[&str], shape: &Shape) -> Vec<Difference> {
    let mut left: Vec<Option<&Row>> = actual.iter().map(Some).collect();
    let mut take =
        |is_it: &dyn Fn(&Row) -> bool| left.iter_mut().find(|row| row.is_some_and(is_it)).and_then(Option::take);
    let mut by_size: Vec<usize> = (0..expected.len()).collect();
    by_size.sort_by_key(|index| std::cmp::Reverse(expected.get(*index).map_or(0, |row| row.cells.len())));
    by_size.retain(|index| expected.get(*index).is_some_and(|row| take(&|seen| fits(row, seen)).is_none()));
    by_size.sort_unstable();
    let mut differences = Vec::new();
    for row in by_size.into_iter().filter_map(|index| expected.get(index)) {
        let same = |seen: &Row| {
            let named = row.cells.iter().filter(|cell| identity.contains(&cell.name.as_str()));
            named.clone().all(|cell| seen.get(&cell.name) == Some(&cell.value))
        };
        let seen = take(&same).map(|seen| {
            let cells = row.cells.iter().filter_map(|cell| seen.cells.iter().find(|other| other.name == cell.name));
            Row { place: seen.place, cells: cells.cloned().collect() }
        });
        differences.push(Difference { place: Some(row.place), expected: Some(row.clone()), actual: seen, note: None });
    }
    let unexpected = left.into_iter().flatten().map(|row| Difference {
        place: None,
        expected: None,
        actual: Some(shape.row(row)),
        note: row.get("detail").map(|detail| match detail {
            Value::Text(text) => text.clone(),
            _ => String::new(),
        }),
    });
    differences.extend(unexpected);
    differences
}

/// Order of results: by end, key and place.
fn order(row: &Row) -> (i64, String, String) {
    let end_ms = match row.get("window_end") {
        Some(Value::Time(ms)) => *ms,
        _ => i64::MAX,
    };
    let text = |name: &str| match row.get(name) {
        Some(Value::Text(text) | Value::Number(text)) => text.clone(),
        _ => String::new(),
    };
    (end_ms, text("key"), text("topic") + &text("partition"))
}

/// Records with a fate that is not the one that is written there.
fn records(stage: &Stage<'_>, from: usize) -> (Vec<Difference>, Vec<WrongFate>) {
    let (mut differences, mut wrong) = (Vec::new(), Vec::new());
    for (index, Sent { record, place, .. }) in stage.seen.sent.iter().enumerate().skip(from) {
        let (Some((fate, written)), is) = (record.fate, stage.seen.fate(index)) else { continue };
        if is == fate {
            continue;
        }
        wrong.push(WrongFate { record: *place, written, is: is.as_str() });
        let row = |word: &str| {
            let mut row = Row::default();
            row.push("key", record.key.clone().map_or(Value::Null, Value::Text));
            row.push("at", record.at_ms.map_or(Value::Null, Value::Time));
            row.push("fate", Value::Text(word.to_owned()));
            row
        };
        let (expected, actual) = (Some(row(fate.as_str())), Some(row(is.as_str())));
        differences.push(Difference { place: Some(written.unwrap_or(*place)), expected, actual, note: None });
    }
    (differences, wrong)
}

/// Every window that is open, with what it holds of each key.
fn open(stage: &mut Stage<'_>) -> Result<Vec<Row>, Stop> {
    let keys: BTreeSet<String> = stage.seen.sent.iter().filter_map(|sent| sent.record.key.clone()).collect();
    let mut rows = Vec::new();
    for key in keys {
        rows.extend(stage.open(&key)?);
    }
    rows.iter_mut().for_each(as_times);
    rows.sort_by_key(order);
    Ok(rows)
}

/// Why a window that was expected has not been written.
fn why_not(stage: &mut Stage<'_>, row: &Row) -> Result<String, Stop> {
    let named = |seen: &Row| {
        let names = row.cells.iter().filter(|cell| WINDOW.contains(&cell.name.as_str()));
        names.clone().all(|cell| seen.get(&cell.name) == Some(&cell.value))
    };
    let Some(Value::Text(key)) = row.get("key") else { return Ok("no window has no key".to_owned()) };
    if stage.seen.windows.iter().any(named) {
        return Ok("this window was written before, and no window is written twice".to_owned());
    }
    let mut open = stage.open(key)?;
    open.iter_mut().for_each(as_times);
    let place = |seen: &Row| match (seen.get("topic"), seen.get("partition")) {
        (Some(Value::Text(topic)), Some(Value::Number(partition))) => Some((topic.clone(), partition.parse().ok()?)),
        _ => None,
    };
    if let Some((topic, partition)) = open.iter().find(|seen| named(seen)).and_then(place) {
        let sentence = stage.waits(&topic, partition).unwrap_or_default();
        return Ok(format!("not closed: {sentence}"));
    }
    Ok(match stage.seen.sent.iter().any(|sent| sent.record.key.as_ref() == Some(key)) {
        true => "no record of this key was merged into this window".to_owned(),
        false => "no record has this key".to_owned(),
    })
}

/// Fates and reasons since the last expectation.
fn counts(before: &FateCounts, now: &FateCounts) -> Row {
    let mut row = Row::default();
    let mut push = |name: &str, count: &dyn Fn(&FateCounts) -> u64| {
        row.push(name, Value::Number(count(now).saturating_sub(count(before)).to_string()));
    };
    push("read", &|counts| counts.read);
    push("partly_late", &|counts| counts.partly_late);
    for fate in Fate::ALL {
        push(fate.as_str(), &|counts| counts.fate(fate));
    }
    for reason in Reason::ALL.into_iter().filter(|reason| *reason != Reason::Late) {
        push(reason.as_str(), &|counts| counts.reason(reason));
    }
    row
}
