//! Any bytes: the decoder never panics, and accepts exactly the objects that serde_json's grammar accepts. What a
//! decoder has learned from the parts between bars makes no difference to the parts after them.

#![no_main]

use std::cell::RefCell;

use libfuzzer_sys::fuzz_target;
use serde::de::IgnoredAny;
use tidemill::config::{Aggregate, AggregateKind, Idle, Pipeline, StartAt, TimeFormat, TimeSource, Window};
use tidemill::decode::Decoder;
use tidemill::fate::Reason;

thread_local! {
    static DECODERS: RefCell<Vec<Decoder>> = RefCell::new(
        [TimeFormat::UnixS, TimeFormat::UnixNs, TimeFormat::Rfc3339].map(decoder).into_iter().collect(),
    );
}

fuzz_target!(|value: &[u8]| {
    let object = str::from_utf8(value).is_ok_and(|text| {
        text.trim_start_matches([' ', '\t', '\r', '\n']).starts_with('{') && serde_json::from_str::<IgnoredAny>(text).is_ok()
    });
    DECODERS.with_borrow_mut(|decoders| {
        for decoder in decoders {
            let malformed = match decoder.decode(0, value) {
                Ok(decoded) => {
                    decoded.values().for_each(|value| drop(format!("{value:?}")));
                    false
                }
                Err(reject) => {
                    let too_deep = reject.detail.to_string().contains("levels");
                    reject.reason == Reason::Malformed && !too_deep
                }
            };
            // Depth is the one thing that serde_json does not limit here.
            assert!(!(malformed && object), "refused though it is one object");
            assert!(object || decoder.decode(0, value).is_err_and(|reject| reject.reason == Reason::Malformed));
        }
    });
    let mut learned = decoder(TimeFormat::UnixMs);
    for part in value.split(|&byte| byte == b'|') {
        let says = |decoder: &mut Decoder| format!("{:?}", decoder.decode(7, part));
        let general = says(&mut decoder(TimeFormat::UnixMs));
        assert_eq!(says(&mut learned), general);
        assert_eq!(says(&mut learned), general);
    }
});

fn decoder(format: TimeFormat) -> Decoder {
    let aggregate = |kind, path: &str| Aggregate { name: format!("{kind:?}"), kind, path: Some(path.to_owned()) };
    Decoder::new(&Pipeline {
        start: StartAt::Earliest,
        time: TimeSource::Field { path: "t".to_owned(), format },
        max_record_bytes: 1 << 20,
        max_key_bytes: 1 << 14,
        max_ahead_ms: None,
        keys: None,
        window: Window { size_ms: 1, every_ms: 1, offset_ms: 0, grace_ms: 0, idle: Idle::Off },
        aggregates: vec![
            aggregate(AggregateKind::Count, "a"),
            aggregate(AggregateKind::Sum, "a.b"),
            aggregate(AggregateKind::First, "t"),
            aggregate(AggregateKind::Last, "a.c"),
        ],
    })
}
