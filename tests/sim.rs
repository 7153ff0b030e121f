//! The in-memory broker's own promises: its faults, its time, its threads, and a storm that a correct lane survives.

#![allow(unreachable_pub)] // A test exports nothing; `pub` says what its modules offer each other.

#[path = "sim/copier.rs"]
mod copier;

use copier::{Copier, Mistake};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tidemill::broker::{
    Broker, CommitOffset, Committed, Event, Headers, Outgoing, Outlet, ProduceError, RecordBatch, Start, TopicPartition,
};
use tidemill::clock::ManualClock;
use tidemill::error::ErrorKind;
use tidemill::sim::{Call, ClientOptions, Cluster, Fault, Faults, Isolation, Rng, SimClient};

const PARTITIONS: i32 = 4;

fn at(partition: i32) -> TopicPartition {
    TopicPartition { topic: Arc::from("source"), partition }
}

fn cluster() -> (ManualClock, Cluster) {
    let clock = ManualClock::at(1_700_000_000_000);
    let cluster = Cluster::virtual_time(&clock);
    cluster.create_topic("source", PARTITIONS);
    cluster.create_topic("sink", 1);
    (clock, cluster)
}

fn options(id: &str) -> ClientOptions {
    ClientOptions::new("group", id, &["source"], "sink")
}

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

/// A client that owns all partitions and has begun a transaction with one record and one offset.
fn ready(cluster: &Cluster, id: &str) -> SimClient {
    let mut client = cluster.client(options(id));
    assign(&mut client);
    client.renew_producer(false).expect("renew_producer");
    open(&mut client).expect("open");
    client
}

fn assign(client: &mut SimClient) -> Vec<Event> {
    let (mut batch, mut events) = (RecordBatch::new(1 << 16, 1_000), Vec::new());
    client.poll(&mut batch, &mut events, Duration::ZERO).expect("poll");
    for event in &events {
        match event {
            Event::Assigned(partitions) => {
                let start = |partition: &TopicPartition| Start {
                    partition: partition.clone(),
                    slot: partition.partition as u32,
                    offset: 0,
                };
                client.assign(&partitions.iter().map(start).collect::<Vec<_>>()).expect("assign");
            }
            Event::Revoked(partitions) | Event::Lost(partitions) => client.unassign(partitions).expect("unassign"),
            _ => {}
        }
    }
    events
}

fn open(client: &mut SimClient) -> Result<(), ProduceError> {
    client.begin().map_err(ProduceError::Broker)?;
    produce(client)?;
    let committed = Committed { offset: 1, metadata: "m".to_owned() };
    client.send_offsets(&[CommitOffset { partition: at(0), committed }]).map_err(ProduceError::Broker)
}

fn produce(client: &mut SimClient) -> Result<(), ProduceError> {
    client.produce(&Outgoing {
        outlet: Outlet::Sink,
        partition: 0,
        timestamp_ms: 1,
        key: None,
        value: Some(b"value"),
        headers: Headers::default(),
        token: 1,
    })
}

fn visible(cluster: &Cluster) -> (usize, usize) {
    (cluster.read("sink", 0, Isolation::Committed).len(), cluster.committed("group").len())
}

#[test]
fn a_commit_without_an_answer_stays_without_one_and_only_the_group_knows() {
    for (happened, truth) in [(true, (1, 1)), (false, (0, 0))] {
        let (_, cluster) = cluster();
        let mut client = ready(&cluster, "id");
        client.fail_next(Call::Commit, Fault::AnswerLost { happened });
        for _ in 0..10 {
            assert_eq!(client.commit().expect_err("no answer").kind, ErrorKind::Retry);
        }
        assert_eq!(client.abort().expect_err("only commit may follow").kind, ErrorKind::Fatal);
        assert_eq!(client.committed(&[at(0)]).is_ok(), happened, "an open transaction is pending");
        client.renew_producer(false).expect("renew_producer");
        assert_eq!(visible(&cluster), truth);
        let committed = client.committed(&[at(0)]).expect("settled");
        assert_eq!(committed[0].is_some(), happened);
        open(&mut client).expect("open");
        client.commit().expect("the new producer is good");
    }
}

#[test]
fn a_slow_answer_comes_after_its_retries() {
    let (_, cluster) = cluster();
    let mut client = ready(&cluster, "id");
    client.fail_next(Call::Commit, Fault::AnswerSlow { retries: 2 });
    for _ in 0..2 {
        assert_eq!(client.commit().expect_err("not yet").kind, ErrorKind::Retry);
        assert_eq!(visible(&cluster), (1, 1));
    }
    client.commit().expect("the answer");
    open(&mut client).expect("the transaction is over");
}

#[test]
fn a_commit_in_flight_arrives_unless_its_producer_is_fenced_by_then() {
    for (renews_before, truth) in [(true, (0, 0)), (false, (1, 1))] {
        let (clock, cluster) = cluster();
        let mut client = ready(&cluster, "id");
        client.fail_next(Call::Commit, Fault::InFlight { after: Duration::from_secs(1) });
        client.commit().expect_err("no answer");
        assert_eq!(visible(&cluster), (0, 0));
        if renews_before {
            client.renew_producer(false).expect("renew_producer");
        }
        clock.advance(Duration::from_secs(2));
        assert_eq!(visible(&cluster), truth);
    }
}

#[test]
fn a_crash_before_a_commit_and_one_after_it_look_the_same_to_the_client() {
    for (after, truth) in [(true, (1, 1)), (false, (0, 0))] {
        let (_, cluster) = cluster();
        let mut client = ready(&cluster, "id");
        client.fail_next(Call::Commit, Fault::Crash { after });
        let error = client.commit().expect_err("crashed");
        assert_eq!((error.kind, error.message.as_str()), (ErrorKind::Fatal, "crashed"));
        assert_eq!(client.serve(&mut Vec::new()).expect_err("dead").message, "crashed");
        assert!(matches!(produce(&mut client), Err(ProduceError::Broker(_))));
        assert_eq!(visible(&cluster), truth);
        let mut next = cluster.client(options("id"));
        next.renew_producer(false).expect("renew_producer");
        assert_eq!(next.committed(&[at(0)]).expect("settled")[0].is_some(), after);
    }
}

#[test]
fn scripted_errors_leave_the_producer_as_their_kind_says() {
    let (_, cluster) = cluster();
    let mut client = ready(&cluster, "id");
    client.fail_next(Call::Commit, Fault::Retry);
    client.commit().expect_err("not yet");
    client.commit().expect("the same call again");

    open(&mut client).expect("open");
    client.fail_next(Call::Commit, Fault::Abort);
    assert_eq!(client.commit().expect_err("abort").kind, ErrorKind::Abort);
    assert_eq!(client.commit().expect_err("still").kind, ErrorKind::Abort);
    client.abort().expect("abort");

    open(&mut client).expect("open");
    client.fail_next(Call::SendOffsets, Fault::Fatal);
    assert_eq!(client.send_offsets(&[]).expect_err("fatal").kind, ErrorKind::Fatal);
    assert_eq!(client.begin().expect_err("lost").kind, ErrorKind::Fatal);
    client.renew_producer(false).expect("renew_producer");

    open(&mut client).expect("open");
    client.fail_next(Call::Produce, Fault::Fenced);
    assert!(matches!(produce(&mut client), Err(ProduceError::Broker(error)) if error.fenced));
    client.renew_producer(false).expect("renew_producer");
    client.fail_next(Call::Produce, Fault::Full);
    assert_eq!(open(&mut client), Err(ProduceError::Full));
    assert_eq!(visible(&cluster), (1, 1), "only the first transaction is visible");
}

#[test]
fn a_full_queue_takes_records_again_after_serve() {
    let (_, cluster) = cluster();
    let mut client = cluster.client(ClientOptions { queue_records_max: 2, ..options("id") });
    client.renew_producer(false).expect("renew_producer");
    client.begin().expect("begin");
    let results = [produce(&mut client), produce(&mut client), produce(&mut client)];
    assert_eq!(results, [Ok(()), Ok(()), Err(ProduceError::Full)]);
    client.serve(&mut Vec::new()).expect("serve");
    produce(&mut client).expect("there is room again");
    client.commit().expect("commit");
    assert_eq!(visible(&cluster).0, 3);
}

#[test]
fn a_redelivered_record_has_an_offset_that_goes_back() {
    let (_, cluster) = cluster();
    for _ in 0..5 {
        cluster.append("source", 0, 1, None, Some(b"value"), &[]);
    }
    let mut client = cluster.client(ClientOptions { topics: vec!["source".to_owned()], ..options("id") });
    assign(&mut client);
    let mut offsets = Vec::new();
    for _ in 0..2 {
        let mut batch = RecordBatch::new(1 << 16, 1_000);
        client.poll(&mut batch, &mut Vec::new(), Duration::ZERO).expect("poll");
        offsets.push(batch.iter().map(|record| record.offset).collect::<Vec<_>>());
        client.unassign(&[at(1), at(2), at(3)]).expect("unassign");
        client.fail_next(Call::Poll, Fault::Redeliver { back: 2 });
    }
    assert_eq!(offsets, [vec![0, 1, 2, 3, 4], vec![3, 4]]);
}

#[test]
fn a_lost_member_learns_it_at_its_next_poll_and_joins_again() {
    let (_, cluster) = cluster();
    let mut client = ready(&cluster, "id");
    client.fail_next(Call::Poll, Fault::Lost);
    assert_eq!(assign(&mut client).first(), Some(&Event::Lost((0..PARTITIONS).map(at).collect())));
    let committed = Committed { offset: 2, metadata: String::new() };
    let stale = client.send_offsets(&[CommitOffset { partition: at(0), committed }]);
    assert!(stale.is_err_and(|error| error.message.contains("UNKNOWN_MEMBER_ID")));
    assert_eq!(assign(&mut client), [Event::Assigned((0..PARTITIONS).map(at).collect())]);
}

#[test]
fn a_forced_rebalance_revokes_and_gives_back() {
    let (_, cluster) = cluster();
    let mut client = ready(&cluster, "id");
    let generation = cluster.generation("group");
    let mut revoked = 0;
    for _ in 0..20 {
        client.fail_next(Call::Serve, Fault::Rebalance);
        let mut events = Vec::new();
        client.serve(&mut events).expect("serve");
        for event in events {
            if let Event::Revoked(partitions) = event {
                revoked += partitions.len();
                client.unassign(&partitions).expect("unassign");
            }
        }
        assign(&mut client);
    }
    assert!(revoked > 20, "{revoked} of 80");
    assert!(cluster.generation("group") > generation + 20);
}

#[test]
fn an_unanswered_question_is_answered_with_none() {
    let (_, cluster) = cluster();
    let mut client = ready(&cluster, "id");
    client.fail_next(Call::AskEnds, Fault::Unanswered);
    client.ask_ends(0);
    client.ask_ends(1);
    let mut events = Vec::new();
    client.serve(&mut events).expect("serve");
    let answered: Vec<_> = events
        .iter()
        .filter_map(|event| if let Event::Ends { slot, ends } = event { Some((*slot, ends.is_some())) } else { None })
        .collect();
    assert_eq!(answered, [(0, false), (1, true)]);
}

#[test]
fn a_static_member_comes_back_to_its_partitions_without_a_rebalance() {
    let (_, cluster) = cluster();
    let of = |instance: &str, id| ClientOptions { static_member: Some(instance.to_owned()), ..options(id) };
    let mut stays = cluster.client(of("stays", "id-0"));
    let mut goes = cluster.client(of("goes", "id-1"));
    for _ in 0..5 {
        assign(&mut stays);
        assign(&mut goes);
    }
    let generation = cluster.generation("group");
    goes.close(Duration::ZERO);
    let mut comes = cluster.client(of("goes", "id-1"));
    let mut given = Vec::new();
    for _ in 0..5 {
        assert!(!assign(&mut stays).iter().any(|event| matches!(event, Event::Assigned(_) | Event::Revoked(_))));
        given.extend(assign(&mut comes).into_iter().filter(|event| matches!(event, Event::Assigned(_))));
    }
    assert!(matches!(&given[..], [Event::Assigned(partitions)] if partitions.len() == 2), "{given:?}");
    assert_eq!(cluster.generation("group"), generation);
    let mut usurper = cluster.client(of("goes", "id-2"));
    assign(&mut usurper);
    let fenced = comes.serve(&mut Vec::new()).expect_err("another client has taken the place");
    assert!(fenced.message.contains("FENCED_INSTANCE_ID"), "{fenced}");
}

#[test]
fn a_topic_created_again_is_another_one() {
    let (_, cluster) = cluster();
    let mut client = cluster.client(options("id"));
    let before = client.topic_id("source").expect("topic_id");
    cluster.delete_topic("source");
    assert_eq!(client.topic_id("source").expect_err("missing").kind, ErrorKind::Retry);
    cluster.create_topic("source", 1);
    assert_ne!(client.topic_id("source").expect("topic_id"), before);
}

#[test]
fn while_the_brokers_are_down_everything_says_try_again() {
    let (_, cluster) = cluster();
    let mut client = ready(&cluster, "id");
    cluster.set_down(true);
    assert_eq!(client.commit().expect_err("down").kind, ErrorKind::Retry);
    assert_eq!(client.committed(&[at(0)]).expect_err("down").kind, ErrorKind::Retry);
    let mut events = Vec::new();
    for _ in 0..3 {
        client.serve(&mut events).expect("serve");
    }
    assert_eq!(events.iter().filter(|event| matches!(event, Event::Trouble(_))).count(), 1);
    cluster.set_down(false);
    client.commit().expect("commit");
    assert_eq!(visible(&cluster), (1, 1));
}

#[test]
fn a_waiting_poll_wakes_when_a_record_comes() {
    let cluster = Cluster::real_time();
    cluster.create_topic("source", 1);
    cluster.create_topic("sink", 1);
    let reader = cluster.clone();
    let lane = std::thread::spawn(move || {
        let mut client = reader.client(options("id"));
        assign(&mut client);
        let (mut batch, mut waits) = (RecordBatch::new(1 << 16, 1_000), 0);
        let started = Instant::now();
        while batch.is_empty() {
            client.poll(&mut batch, &mut Vec::new(), Duration::from_secs(20)).expect("poll");
            waits += 1;
        }
        (started.elapsed(), waits)
    });
    std::thread::sleep(Duration::from_millis(200));
    cluster.append("source", 0, 1, None, Some(b"value"), &[]);
    let (waited, waits) = lane.join().expect("the lane ends");
    assert!(waited >= Duration::from_millis(100) && waited < Duration::from_secs(10), "{waited:?}");
    assert!(waits <= 3, "one poll for the end of the partition, one for the record, not {waits}");
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
