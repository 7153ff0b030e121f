//! One task in a pool of a few pages beside the model: whatever finds no memory is judged again, and comes out the same.

use super::fates::{compare_commit_point, judge};
use crate::support::generate::{self, Random, Record};
use crate::support::model::result::ModelWindow;
use crate::support::model::{Fate, ModelTask};
use crate::support::subject::Subject;
use std::cell::Cell;
use tidemill::clock::ManualClock;
use tidemill::pool::{Class, Limits};
use tidemill::task::{ClosedBy, Unmerged};

/// Judges a record, committing what waits as often as there is no memory for it; `None` if nothing waits any more and
/// there still is none.
fn patiently(
    subject: &mut Subject,
    record: &Record,
    windows: &mut Vec<(ModelWindow, ClosedBy)>,
    refusals: &Cell<usize>,
) -> Option<Fate> {
    loop {
        match subject.try_record(record) {
            Ok(fate) => return fate,
            Err(Unmerged::Full) => refusals.set(refusals.get() + 1),
            Err(redelivered) => panic!("{redelivered}"),
        }
        windows.extend(subject.closed());
        if !subject.task.is_waiting() {
            return None;
        }
        subject.commit_all();
    }
}

#[test]
fn a_task_that_finds_no_memory_judges_again_and_comes_to_the_same() {
    let [refusals, blocked, restarts, finished] = [0; 4].map(Cell::new);
    let count = |cell: &Cell<usize>| cell.set(cell.get() + 1);
    generate::for_each_seed(400, |seed| {
        let random = Random::new(seed);
        let pipeline = generate::pipeline(&random);
        let records = generate::records(&random, &pipeline, 300);
        let page = Class::SMALLEST.bytes();
        let ceiling_bytes = random.between(4, 60) as usize * page;
        let limits = Limits { ceiling_bytes, reserve_bytes: 2 * page };
        let clock = ManualClock::at(0);
        let mut model = ModelTask::new(&pipeline);
        let mut subject = Subject::clean_within(&pipeline, records[0].offset, &clock, limits);
        let (mut expected, mut windows) = (Vec::new(), Vec::new());
        for (index, record) in records.iter().enumerate() {
            clock.set_wall_ms(record.now_ms);
            let fate = judge(&mut model, record);
            expected.extend(model.closed().into_iter().map(|window| (window, ClosedBy::Watermark)));
            let Some(judged) = patiently(&mut subject, record, &mut windows, &refusals) else { return };
            assert_eq!(judged, fate, "{record:?}");
            windows.extend(subject.closed());
            assert_eq!(subject.task.watermark_ms(), model.watermark());
            if !subject.task.is_blocked() {
                assert_eq!(windows, expected, "closed by {record:?}");
                compare_commit_point(&subject, &model);
                continue;
            }
            count(&blocked);
            assert!(expected.starts_with(&windows));
            if random.between(1, 4) == 1 {
                // Another process, with memory enough, goes on from what is committed.
                count(&restarts);
                let committed = subject.commit_all();
                subject = Subject::resumed(&pipeline, &committed, &clock);
                let from = subject.task.position();
                for again in records[..=index].iter().filter(|record| record.offset >= from) {
                    clock.set_wall_ms(again.now_ms);
                    let judged = subject.record(again);
                    assert_eq!(judged.is_some(), again.offset >= committed.offset);
                    assert!(judged.is_none_or(|judged| judged == fate), "{again:?}");
                }
                windows.extend(subject.closed());
                assert_eq!(windows, expected, "closed again by {record:?}");
            }
        }
        count(&finished);
    });
    let counts = [&refusals, &blocked, &restarts, &finished].map(Cell::get);
    println!("{counts:?} refusals, records with windows that could not close, restarts then, seeds that finished");
    assert!(std::env::var("TIDEMILL_SEED").is_ok() || counts.iter().all(|count| *count > 20), "{counts:?}");
}
