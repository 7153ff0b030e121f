//! Many seeds of everything going wrong at once, for a correct lane and for lanes with one mistake each.

use crate::copier::{Copier, Mistake};
use crate::{PARTITIONS, at, cluster, options};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tidemill::sim::{Cluster, Faults, Isolation, Rng};

/// Copies 400 records through a storm and says what went wrong, if anything.
fn storm(seed: u64, mistake: Mistake) -> Result<(), String> {
    let (clock, cluster) = cluster();
    let mut rng = Rng::new(seed);
    let mut lanes: Vec<_> = (0..3)
        .map(|lane| {
            let mut options = options(&format!("id-{lane}"));
            options.session_timeout = Duration::from_secs(6);
            options.transaction_timeout = Duration::from_secs(10);
            options.queue_records_max = 200;
            options.faults = Faults::storm(seed * 31 + lane);
            Copier::new(&cluster, options, mistake)
        })
        .collect();
    let mut written = 0;
    for _ in 0..1_500 {
        if written < 400 && rng.below(2) == 0 {
            let value = format!("{written}");
            cluster.append("source", rng.below(PARTITIONS as u64) as i32, 1, None, Some(value.as_bytes()), &[]);
            written += 1;
        }
        // One lane at a time, and sometimes one is left alone for longer than its session.
        let lane = if rng.chance(600_000) { 0 } else { 1 + rng.below(2) as usize };
        lanes[lane].step();
        clock.advance(Duration::from_millis(if rng.chance(2_000) { 8_000 } else { rng.below(20) }));
    }
    for _ in 0..400 {
        for lane in &mut lanes {
            lane.injector().calm();
            lane.step();
        }
        clock.advance(Duration::from_millis(100));
    }
    check(&cluster, written)
}

/// Every record once, and no position that goes back.
fn check(cluster: &Cluster, written: usize) -> Result<(), String> {
    let mut copies = BTreeMap::new();
    for copy in cluster.read("sink", 0, Isolation::Committed) {
        *copies.entry(String::from_utf8_lossy(&copy.key.unwrap_or_default()).into_owned()).or_insert(0) += 1;
    }
    for partition in 0..PARTITIONS {
        for record in cluster.read("source", partition, Isolation::Committed) {
            let key = format!("{}@{}", at(partition), record.offset);
            match copies.remove(&key) {
                Some(1) => {}
                Some(times) => return Err(format!("{key} came {times} times")),
                None => return Err(format!("{key} is missing")),
            }
        }
    }
    if !copies.is_empty() {
        return Err(format!("copies of nothing: {copies:?}"));
    }
    let mut positions = BTreeMap::new();
    for (partition, committed) in cluster.commit_history("group") {
        let before = positions.insert(partition.clone(), committed.offset);
        if before > Some(committed.offset) {
            return Err(format!("{partition} went back from {before:?} to {}", committed.offset));
        }
    }
    if written == 0 { Err("nothing was written".to_owned()) } else { Ok(()) }
}

#[test]
fn a_correct_lane_copies_everything_once_through_any_storm() {
    for seed in 0..300 {
        if let Err(error) = storm(seed, Mistake::None) {
            panic!("seed {seed}: {error}");
        }
    }
}

#[test]
fn a_lane_that_makes_one_mistake_is_caught() {
    let mistakes = [
        Mistake::BelievesSilence,
        Mistake::DeniesSilence,
        Mistake::KeepsLostWork,
        Mistake::TakesRedelivery,
        Mistake::CommitsAfterRevoke,
        Mistake::ForgetsOffsets,
        Mistake::DropsWhenFull,
    ];
    for mistake in mistakes {
        let caught = (0..300).find(|&seed| storm(seed, mistake).is_err());
        assert!(caught.is_some(), "{mistake:?} was not caught");
        println!("{mistake:?} is caught by seed {caught:?}");
    }
}

#[test]
fn a_storm_repeats_exactly() {
    let run = |seed| {
        let (clock, cluster) = cluster();
        let mut options = options("id");
        options.faults = Faults::storm(seed);
        let mut lane = Copier::new(&cluster, options, Mistake::None);
        for n in 0..200 {
            cluster.append("source", n % PARTITIONS, 1, None, Some(b"value"), &[]);
            lane.step();
            clock.advance(Duration::from_millis(20));
        }
        (cluster.commit_history("group"), cluster.read("sink", 0, Isolation::Uncommitted), lane.crashes)
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

#[test]
fn lanes_on_their_own_threads_copy_everything_once() {
    let cluster = Cluster::real_time();
    cluster.create_topic("source", PARTITIONS);
    cluster.create_topic("sink", 1);
    for n in 0..2_000 {
        cluster.append("source", n % PARTITIONS, 1, None, Some(b"value"), &[]);
    }
    let started = Instant::now();
    let lanes: Vec<_> = (0..3)
        .map(|lane| {
            let cluster = cluster.clone();
            std::thread::spawn(move || {
                let mut copier = Copier::new(&cluster, options(&format!("id-{lane}")), Mistake::None);
                while cluster.read("sink", 0, Isolation::Committed).len() < 2_000
                    && started.elapsed() < Duration::from_secs(20)
                {
                    copier.step();
                }
            })
        })
        .collect();
    for lane in lanes {
        lane.join().expect("the lane ends");
    }
    assert_eq!(check(&cluster, 2_000), Ok(()));
}
