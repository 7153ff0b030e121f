//! Giants, depths and garbage on a real broker: dead letters, a healthy process, and every other window exact.

use crate::chaos::close_all;
use crate::judge::Truth;
use crate::positions::records;
use crate::process::{PATIENCE, until};
use crate::read_back;
use crate::stage::{Setup, Stage};
use crate::support::generate::Random;
use crate::support::kafka::Kafka;
use tidemill::broker::Headers;
use tidemill::kafka::Loader;

const GIANT: usize = 10 << 20;

#[test]
fn giants_depths_and_garbage_are_dead_letters_and_nothing_else_suffers() {
    let stage = Stage::new(Kafka::shared(), "bad", Setup::default());
    stage.kafka.admin("").set_topic_config(&stage.source, "max.message.bytes", "16000000").unwrap();
    let mut config = stage.kafka.config("");
    config.producer_properties.insert("message.max.bytes".into(), "16000000".into());
    let mut loader = Loader::open(&config, &stage.source).unwrap();
    let mut send = |key: Option<&[u8]>, value: &[u8]| {
        loader.send(if key.is_some() { -1 } else { 1 }, 1_000, key, Some(value), Headers::default()).unwrap();
    };
    let giant = format!(r#"{{"t":1700000000000,"v":1,"s":"{}"}}"#, "x".repeat(GIANT));
    let deep = format!(r#"{{"t":1700000000000,"v":{}1{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    let seed = 4_711;
    println!("TIDEMILL_SEED={seed}");
    let random = Random::new(seed);
    for (number, (key, value)) in records(0..300).enumerate() {
        let mut value = value.into_bytes();
        if random.chance(10) {
            for _ in 0..random.between(1, 3) {
                // No digits: they would be other times, not garbage.
                let at = random.between(0, value.len() as i64 - 1) as usize;
                value[at] = random.pick(b"\xff\x00{}[\",:\\\x80x");
            }
        }
        send(Some(key.as_bytes()), &value);
        match number {
            1_000 => send(Some(b"giant"), giant.as_bytes()),
            2_000 => send(Some(&[b'k'; 64 << 10]), br#"{"t":1700000000000}"#),
            3_000 => send(Some(b"deep"), deep.as_bytes()),
            4_000 => send(None, br#"{"t":1700000000000}"#),
            5_000 => send(Some(b""), br#"{"t":1700000300000}"#),
            _ => {}
        }
    }
    loader.flush(PATIENCE).unwrap();
    close_all(&stage, "t");
    let worker = stage.worker("a");
    let truth = Truth::of(&stage, false);
    assert!(truth.dead() > 20, "{} dead letters", truth.dead());
    until("all is there", || stage.has(&stage.sink, truth.windows()) && stage.has(&stage.dead, truth.dead()));
    worker.until_live(4);
    assert_eq!(worker.page("/livez").unwrap().0, 200);
    let memory = worker.sum("process_resident_memory_bytes", &[]) / 1e6;
    println!("{} dead letters, {memory:.0} MB resident", truth.dead());
    worker.stop_well();
    truth.hold(&stage);

    let dead = read_back::all(stage.kafka, &stage.dead, 4);
    let large: Vec<_> = dead.iter().filter(|read| read.header("tidemill.reason") == "too_large").collect();
    assert_eq!(large.len(), 2);
    for read in large {
        match read.header("tidemill.truncated") {
            "" => {
                assert_eq!(read.header("tidemill.key_length"), (64 << 10).to_string());
                assert_eq!(read.key.as_ref().unwrap().len(), 1 << 10);
            }
            length => {
                assert_eq!(length, giant.len().to_string());
                assert_eq!((read.key.as_deref(), read.value.is_none()), (Some(&b"giant"[..]), true));
            }
        }
    }
}
