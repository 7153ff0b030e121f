//! A whole lane on the in-memory broker beside the model: what a reader sees is the same whatever the batches, and
//! whatever garbage stands between the records.

use crate::support::generate::{self, Random, Record};
use crate::support::visible::{Seen, compare, rig, seen};
use tidemill::config::{Idle, Pipeline};

/// What a client takes by default, in bytes of key, value and headers.
const CLIENT_LIMIT: usize = 1_000_000;

fn silent(random: &Random) -> Pipeline {
    let mut pipeline = generate::pipeline(random);
    pipeline.window.idle = random.pick(&[Idle::Close { after_ms: 1000 }, Idle::Advance { after_ms: 1000 }]);
    pipeline
}

fn run(pipeline: &Pipeline, streams: &mut [Vec<Record>], wall_ms: i64, batch_records: usize) -> Seen {
    let mut rig = rig(pipeline, streams, wall_ms);
    rig.run_to_the_end(batch_records);
    assert!(rig.counts.fates.balanced());
    assert_eq!(rig.counts.fates.read, streams.iter().map(|stream| stream.len() as u64).sum::<u64>());
    for (partition, committed) in rig.cluster.committed("test") {
        assert_eq!(committed.offset, streams[partition.partition as usize].len() as i64, "{partition}");
    }
    seen(&rig)
}

#[test]
fn what_a_lane_makes_visible_is_what_the_model_says_whatever_the_batches() {
    generate::for_each_seed(60, |seed| {
        let random = Random::new(seed);
        let pipeline = silent(&random);
        let count = random.between(1, 3);
        let mut streams: Vec<_> = (0..count).map(|_| generate::records(&random, &pipeline, 120)).collect();
        let wall_ms = random.pick(&streams[0]).now_ms + random.pick(&[0, 0, 1_000_000]);
        let mut first = None;
        for batch_records in [1, 2, 7, 8192] {
            let seen = run(&pipeline, &mut streams, wall_ms, batch_records);
            if first.is_none() {
                compare(&pipeline, &streams, wall_ms, CLIENT_LIMIT, &seen);
            }
            assert_eq!(first.get_or_insert_with(|| seen.clone()), &seen, "batches of {batch_records}");
        }
    });
}

/// The worst that a producer can send, between good records.
fn monsters(random: &Random, pipeline: &Pipeline, records: &mut Vec<Record>) {
    for record in records.iter_mut() {
        let (true, Some(value)) = (random.chance(10), &mut record.value) else { continue };
        *value = (0..random.between(0, 300)).map(|_| random.next() as u8).collect();
    }
    for record in records.iter_mut().filter(|_| random.chance(100)) {
        for byte in record.value.iter_mut().flatten().filter(|_| random.chance(10)) {
            *byte = random.next() as u8;
        }
    }
    let deep = |open: &str, close: &str| format!("{}1{}", open.repeat(100_000), close.repeat(100_000)).into_bytes();
    let longest = pipeline.max_record_bytes;
    let monsters: [(usize, Vec<u8>); 7] = [
        (1, vec![b'x'; 10 << 20]),
        (1, [b"{\"x\":\"".to_vec(), vec![b'x'; 10 << 20], b"\"}".to_vec()].concat()),
        (64 << 10, b"{}".to_vec()),
        (64 << 10, vec![0xff; 10 << 20]),
        (1, deep("[", "]")),
        (1, deep("{\"x\":", "}")),
        (1, vec![b'['; longest]),
    ];
    for (key_len, value) in monsters {
        let at = random.between(0, records.len() as i64 - 1) as usize;
        let like = records[at].clone();
        records.insert(at, Record { key: Some(vec![b'a'; key_len]), value: Some(value), ..like });
    }
}

#[test]
fn garbage_between_the_records_leaves_every_window_exact() {
    generate::for_each_seed(6, |seed| {
        let random = Random::new(seed);
        let pipeline = silent(&random);
        let mut streams = vec![generate::records(&random, &pipeline, 1000)];
        let wall_ms = random.pick(&streams[0]).now_ms + 1_000_000;
        monsters(&random, &pipeline, &mut streams[0]);
        let seen = run(&pipeline, &mut streams, wall_ms, 8192);
        compare(&pipeline, &streams, wall_ms, CLIENT_LIMIT, &seen);
    });
}
