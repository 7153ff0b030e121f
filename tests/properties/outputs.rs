//! Late records, dead letters and results that a topic may refuse: headers, timestamps, and what goes out without its
//! value.

use crate::support::generate::{self, Random, Record};
use crate::support::model::murmur2;
use crate::support::rig::{self, DEAD, EVENTS, LATE, Rig, SINK};
use crate::support::visible::{compare, headers_bytes, rig as rig_with, seen};
use std::time::Duration;
use tidemill::config::{Aggregate, AggregateKind, Idle, Pipeline, StartAt, TimeFormat, TimeSource, Window};
use tidemill::sim::Stored;

const WALL_MS: i64 = 1_700_000_000_000;

/// Windows of 10 ms without grace, time in `t`, the last `v`; keys up to 100 bytes.
fn pipeline() -> Pipeline {
    Pipeline {
        start: StartAt::Earliest,
        time: TimeSource::Field { path: "t".into(), format: TimeFormat::UnixMs },
        max_record_bytes: 10_000,
        max_key_bytes: 100,
        max_ahead_ms: None,
        keys: None,
        window: Window { size_ms: 10, every_ms: 10, offset_ms: 0, grace_ms: 0, idle: Idle::Close { after_ms: 1000 } },
        aggregates: vec![Aggregate { name: "v".into(), kind: AggregateKind::Last, path: Some("v".into()) }],
    }
}

/// Kafka timestamp, key and value.
type Sent<'a> = (i64, Option<&'a [u8]>, &'a [u8]);

fn names(output: &Stored) -> Vec<&str> {
    output.headers.iter().map(|(name, _)| std::str::from_utf8(name).unwrap()).collect()
}

#[test]
fn late_records_and_dead_letters_say_what_happened_after_their_own_headers() {
    let mut rig = Rig::new(&pipeline(), (2, 4), WALL_MS);
    let old: [(&[u8], Option<&[u8]>); 3] =
        [(b"trace", Some(b"\xff")), (b"tidemill.reason", Some(b"spoof")), (b"none", None)];
    let long = vec![b'k'; 3000];
    let sent: [Sent<'_>; 6] = [
        (5, Some(b"a"), br#"{"t":500}"#),
        (0, Some(b"a"), br#"{"t":499}"#),
        (-1, Some("ä".as_bytes()), "{\"t\":ä}".as_bytes()),
        (WALL_MS + 1, None, br#"{"t":1}"#),
        (WALL_MS - 1, Some(&long), br#"{"t":1}"#),
        (7, Some(b""), br#"{"t":-1}"#),
    ];
    for (timestamp_ms, key, value) in sent {
        rig.cluster.append(EVENTS, 1, timestamp_ms, key, Some(value), &old);
    }
    rig.run_to_the_end(8192);
    let ours = "tidemill.reason tidemill.topic tidemill.partition tidemill.offset tidemill.timestamp tidemill.detail";
    let late = "tidemill.watermark tidemill.window_end";
    let table = [
        (LATE, 1, "late", late, 1, Some(&b"a"[..])),
        (DEAD, 2, "malformed", "", WALL_MS, Some("ä".as_bytes())),
        (DEAD, 3, "null_key", "", WALL_MS, None),
        (DEAD, 4, "too_large", "tidemill.key_length", WALL_MS - 1, Some(&long[..1024])),
        (DEAD, 5, "bad_time", "", 7, Some(b"")),
    ];
    for (topic, offset, reason, more, timestamp_ms, key) in table {
        let (original_ms, whole_key, value) = sent[offset];
        let partition = whole_key.map_or(1, |key| murmur2::partition(key, 4)) as usize;
        let outputs = &rig.read(topic)[partition];
        let header = |output: &Stored, name: &str| rig::header(output, name).unwrap();
        let output = outputs.iter().find(|output| header(output, "tidemill.offset") == offset.to_string()).unwrap();
        assert_eq!(
            (output.timestamp_ms, output.key.as_deref(), output.value.as_deref()),
            (timestamp_ms, key, Some(value))
        );
        for (header, (name, value)) in output.headers.iter().zip(&old) {
            assert_eq!((header.0.as_slice(), header.1.as_deref()), (*name, *value), "old headers come first");
        }
        let mut found = names(output).split_off(old.len());
        found.sort_unstable();
        let mut expected: Vec<_> = ours.split(' ').chain(more.split_whitespace()).collect();
        expected.sort_unstable();
        assert_eq!(found, expected, "{reason}");
        let said =
            ["reason", "topic", "partition", "timestamp"].map(|name| header(output, &format!("tidemill.{name}")));
        assert_eq!(said, [reason.to_owned(), EVENTS.to_owned(), "1".to_owned(), original_ms.to_string()]);
        let detail = header(output, "tidemill.detail");
        assert!(!detail.is_empty() && detail.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{detail}");
        if topic == LATE {
            assert_eq!([header(output, "tidemill.watermark"), header(output, "tidemill.window_end")], ["500", "500"]);
        }
        if !more.is_empty() && topic == DEAD {
            assert_eq!(header(output, "tidemill.key_length"), "3000");
        }
    }
    assert_eq!(rig.read(DEAD).iter().flatten().count(), 4);
    assert_eq!(rig.read(LATE).iter().flatten().count(), 1);
}

#[test]
fn what_a_topic_refuses_goes_out_without_its_value_and_its_companions_stay_whole() {
    let (mut truncated, mut whole) = (0, 0);
    generate::for_each_seed(60, |seed| {
        let random = Random::new(seed);
        let mut pipeline = generate::pipeline(&random);
        pipeline.window.idle = Idle::Close { after_ms: 1000 };
        pipeline.max_key_bytes = pipeline.max_key_bytes.min(16);
        let by_client = random.chance(200);
        if by_client {
            // Texts of `first` and `last` would bring results over the client's limit, too.
            pipeline.aggregates.retain(|aggregate| aggregate.kind == AggregateKind::Count);
            pipeline.aggregates.push(Aggregate { name: "n".into(), kind: AggregateKind::Count, path: None });
        }
        let mut streams: Vec<Vec<Record>> = (0..2).map(|_| generate::records(&random, &pipeline, 120)).collect();
        let wall_ms = random.pick(&streams[0]).now_ms;
        let mut rig = rig_with(&pipeline, &mut streams, wall_ms);
        // Enough for what is left without a value: key, headers, a short detail.
        let limit = random.between(450, 700) as usize;
        for topic in [LATE, DEAD] {
            rig.cluster.set_max_message_bytes(topic, if by_client { usize::MAX } else { limit });
        }
        rig.start(random.pick(&[1, 7, 8192]), |client, _| {
            client.message_bytes_max = if by_client { limit } else { usize::MAX };
        });
        rig.run(rig.silence()).unwrap();
        let seen = seen(&rig);
        for output in seen.iter().filter(|(place, _)| place.0 != SINK).flat_map(|(_, outputs)| outputs) {
            *(if rig::header(output, "tidemill.truncated").is_some() { &mut truncated } else { &mut whole }) += 1;
        }
        compare(&pipeline, &streams, wall_ms, limit, &seen);
    });
    println!("{truncated} truncated, {whole} whole");
    assert!(std::env::var("TIDEMILL_SEED").is_ok() || (truncated > 200 && whole > 200), "{truncated}, {whole}");
}

/// Records for windows whose `last` is long or short, all closed in the end.
fn results(limit: usize, by_client: bool) -> (Rig, Result<(), String>) {
    let mut rig = Rig::new(&pipeline(), (1, 1), WALL_MS);
    for number in 0..40 {
        let text = if number % 10 == 3 { "x".repeat(200) } else { "y".repeat(number) };
        let (key, value) = (format!("key {number}"), format!(r#"{{"t":{number},"v":"{text}"}}"#));
        rig.cluster.append(EVENTS, 0, 1, Some(key.as_bytes()), Some(value.as_bytes()), &[]);
    }
    if !by_client {
        rig.cluster.set_max_message_bytes(SINK, limit);
    }
    rig.start(8192, |client, _| client.message_bytes_max = if by_client { limit } else { usize::MAX });
    let ran = rig.run(Duration::from_secs(10)).map_err(|stop| stop.to_string());
    (rig, ran)
}

#[test]
fn a_result_that_is_refused_goes_out_without_its_value_and_the_others_whole() {
    for by_client in [false, true] {
        let (rig, ran) = results(200, by_client);
        assert_eq!(ran, Ok(()));
        let outputs = &rig.read(SINK)[0];
        assert_eq!(outputs.len(), 40);
        for (number, output) in outputs.iter().enumerate() {
            assert_eq!(output.key, Some(format!("key {number}").into_bytes()));
            assert_eq!(output.value.is_none(), number % 10 == 3, "{number}");
            if output.value.is_none() {
                let lost: usize = rig::header(output, "tidemill.truncated").unwrap().parse().unwrap();
                assert!(lost + output.key.as_ref().unwrap().len() > 200 && lost < 300, "{lost}");
            } else {
                assert!(output.headers.is_empty());
            }
        }
        assert_eq!(rig.cluster.committed("test").values().next().map(|committed| committed.offset), Some(40));
    }
}

#[test]
fn what_is_refused_even_without_its_value_stops_the_lane_and_names_the_place() {
    for by_client in [false, true] {
        let mut rig = Rig::new(&pipeline(), (1, 1), WALL_MS);
        for value in [&br#"{"t":1}"#[..], b"broken", br#"{"t":2}"#] {
            rig.cluster.append(EVENTS, 0, 1, Some(b"k"), Some(value), &[]);
        }
        let limit = 60;
        if !by_client {
            rig.cluster.set_max_message_bytes(DEAD, limit);
        }
        rig.start(8192, |client, _| client.message_bytes_max = if by_client { limit } else { usize::MAX });
        let stop = rig.run(Duration::from_secs(10)).unwrap_err().to_string();
        for said in ["events[0]", "offset 1", "dead", "MSG_SIZE_TOO_LARGE"] {
            assert!(stop.contains(said), "{said}: {stop}");
        }
        assert_eq!(rig.read(DEAD)[0].len() + rig.read(SINK)[0].len(), 0, "nothing is visible");
        assert!(rig.cluster.committed("test").values().all(|committed| committed.offset == 0));
        // Raised, as the message says: a new lane goes on, and nothing is lost.
        rig.cluster.set_max_message_bytes(DEAD, 1_000_000);
        rig.lane.take().unwrap().leave();
        rig.run_to_the_end(8192);
        assert_eq!((rig.read(DEAD)[0].len(), rig.read(SINK)[0].len()), (1, 1));
        assert!(headers_bytes(&rig.read(DEAD)[0][0], "") > limit);
    }
    let (_, ran) = results(5, false);
    let stop = ran.unwrap_err();
    assert!(
        stop.contains("events[0]") && stop.contains("results") && stop.contains("window that ends at 10"),
        "{stop}"
    );
}
