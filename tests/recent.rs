//! Recent and live windows of a whole lane on the in-memory broker: shown after the commit and never before, and equal to
//! what a reader of the results sees.

mod support {
    pub mod rig;
}

use std::time::Duration;
use support::rig::{EVENTS, Rig, SINK};
use tidemill::config::{Aggregate, AggregateKind, Idle, Pipeline, StartAt, TimeSource, Window};
use tidemill::recent::{Answers, Mailbox, Question, Recent};

fn pipeline(every_ms: i64) -> Pipeline {
    let count = Aggregate { name: "n".to_owned(), kind: AggregateKind::Count, path: None };
    Pipeline {
        start: StartAt::Earliest,
        time: TimeSource::Kafka,
        max_record_bytes: 900 << 10,
        max_key_bytes: 16 << 10,
        max_ahead_ms: None,
        keys: None,
        window: Window { size_ms: 10, every_ms, offset_ms: 0, grace_ms: 0, idle: Idle::Off },
        aggregates: vec![count],
    }
}

/// A lane that keeps recent windows, and the handles of both.
fn rig(every_ms: i64) -> (Rig, Recent, Mailbox) {
    let mut rig = Rig::new(&pipeline(every_ms), (2, 2), 1_700_000_000_000);
    let (recent, mailbox) = (Recent::within(1 << 20, &rig.config, 0), Mailbox::default());
    let handles = (recent.clone(), mailbox.clone());
    rig.start(7, |_, options| (options.recent, options.mailbox) = handles);
    (rig, recent, mailbox)
}

/// What a reader sees of a key, and what is recent, both in one order.
fn written_and_recent(rig: &Rig, recent: &Recent, key: &str) -> (Vec<String>, Vec<String>) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let records = rig.read(SINK).into_iter().flatten();
    let written = records.filter(|record| record.key.as_deref() == Some(key.as_bytes()));
    let mut written: Vec<_> = written.map(|record| text(record.value.as_deref().unwrap())).collect();
    let mut recent: Vec<_> = recent.results(key.as_bytes()).iter().map(|answer| text(&answer.result)).collect();
    written.sort();
    recent.sort();
    (written, recent)
}

#[test]
fn a_window_is_recent_when_it_is_committed_and_not_before() {
    for every_ms in [10, 5] {
        let (mut rig, recent, _) = rig(every_ms);
        let mut windows = 0;
        for time_ms in 0..200 {
            let key = if time_ms % 3 == 0 { "a" } else { "b" };
            rig.cluster.append(EVENTS, 1, time_ms, Some(key.as_bytes()), Some(b"{}"), &[]);
            let lane = rig.lane.as_mut().unwrap();
            lane.step(Duration::ZERO).unwrap();
            rig.clock.advance(Duration::from_micros(20));
            let (written, recent) = written_and_recent(&rig, &recent, "a");
            assert!(recent.iter().all(|result| written.contains(result)), "{recent:?} is not yet written: {written:?}");
            windows = recent.len();
        }
        rig.run(Duration::from_secs(1)).unwrap();
        let (written, recent) = written_and_recent(&rig, &recent, "a");
        assert!(written.len() > windows.min(17), "{written:?}");
        assert_eq!(written, recent, "windows every {every_ms} ms");
    }
}

#[test]
fn a_lane_says_what_is_open_and_what_a_key_has_in_it() {
    let (mut rig, _, mailbox) = rig(10);
    for (partition, time_ms, key) in [(0, 1, "a"), (0, 12, "a"), (0, 13, "b"), (0, 14, "a"), (1, 25, "a")] {
        rig.cluster.append(EVENTS, partition, time_ms, Some(key.as_bytes()), Some(b"{}"), &[]);
    }
    rig.run(Duration::from_secs(1)).unwrap();
    let mut ask = |question: Question| {
        let mut answer = mailbox.ask(question).unwrap();
        rig.lane.as_mut().unwrap().step(Duration::ZERO).unwrap();
        answer.try_recv().expect("a step answers")
    };
    let Answers::Open(open) = ask(Question::Open) else { panic!("another answer") };
    let open: Vec<_> = open
        .iter()
        .map(|it| (it.partition.partition, it.start_ms, it.closes_at_ms, it.keys, it.watermark_ms))
        .collect();
    assert_eq!(open, [(0, 10, 20, 2, Some(14)), (1, 20, 30, 1, Some(25))]);
    let Answers::Key(live) = ask(Question::Key(b"a".to_vec())) else { panic!("another answer") };
    let live: Vec<_> = live.iter().map(|answer| std::str::from_utf8(&answer.result).unwrap()).collect();
    assert_eq!(
        live,
        [
            r#"{"key":"a","partition":0,"window_start":10,"window_end":20,"n":2}"#,
            r#"{"key":"a","partition":1,"window_start":20,"window_end":30,"n":1}"#,
        ]
    );
    let Answers::Key(live) = ask(Question::Key(b"c".to_vec())) else { panic!("another answer") };
    assert!(live.is_empty());
}
