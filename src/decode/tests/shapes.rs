//! Records of known shapes: what fits, and that it makes no difference.

use proptest::prelude::*;

use super::decoder;
use super::properties::{edited, edits, json};
use crate::decode::Decoder;

/// Everything that a decoder says of a value.
fn all(decoder: &mut Decoder, value: &[u8]) -> String {
    format!("{:?}", decoder.decode(7, value).map_err(|reject| (reject.reason, reject.detail)))
}

/// Whether a value has a shape that is known.
fn is_known(decoder: &mut Decoder, value: &[u8]) -> bool {
    let before = decoder.shapes.hits;
    let _ = decoder.decode(7, value);
    decoder.shapes.hits > before
}

/// The same, and that it makes no difference.
fn fits(decoder: &mut Decoder, value: &[u8]) -> bool {
    let before = decoder.shapes.hits;
    let answer = all(decoder, value);
    assert_eq!(answer, all(&mut fresh(), value), "{}", String::from_utf8_lossy(value));
    decoder.shapes.hits > before
}

/// One that has seen nothing: whatever it says, its general reader says.
fn fresh() -> Decoder {
    decoder("unix_ms t", "count:t sum:a min:a.b first:s last:s.b count:b")
}

#[test]
fn a_record_fits_if_only_its_scalars_are_new() {
    let base = r#"{"t":1,"a":-1.5,"s":"x","b":true,"more":[1,{"n":null}]}"#;
    for (value, expected) in [
        (base, true),
        (
            r#"{"t":1700000000000,"a":1e999,"s":"a longer one, \u00e9 \ud800 \" é","b":null,"more":["",{"n":false}]}"#,
            true,
        ),
        (r#"{"t":null,"a":"1","s":0.10,"b":-0,"more":[true,{"n":1E+2}]}"#, true),
        (r#"{"t":1,"a":-1.5,"s":"x","b":true,"more":[1,{"n":{}}]}"#, false),
        (r#"{"t":1,"a":-1.5,"s":"x","b":true,"more":[1,2,{"n":null}]}"#, false),
        (r#"{"t":1,"a":-1.5,"s":"x","b":true}"#, false),
        (r#"{"t":1,"a":-1.5,"s":"x","b":true,"more":[1,{"n":null}],"c":1}"#, false),
        (r#"{"t":1,"a":-1.5,"s":"x","b":true,"more":[1,{"m":null}]}"#, false),
        (r#"{"a":-1.5,"t":1,"s":"x","b":true,"more":[1,{"n":null}]}"#, false),
        (r#"{"t": 1,"a":-1.5,"s":"x","b":true,"more":[1,{"n":null}]}"#, false),
        (r#"{"t":1,"a":-1.5,"s":"x","b":true,"more":[1,{"n":null}]} "#, false),
        (r#"{"t":1,"a":-1.5,"s":"x","b":true,"more":[1,{"n":null}"#, false),
        (r#"{"t":1,"a":-1.5,"s":"x","b":true,"more":[1,{"n":null}]}}"#, false),
        (r#"{"t":01,"a":-1.5,"s":"x","b":true,"more":[1,{"n":null}]}"#, false),
        (r#"{"t":1.,"a":-1.5,"s":"x","b":true,"more":[1,{"n":null}]}"#, false),
        (r#"{"t":1,"a":-,"s":"x","b":true,"more":[1,{"n":null}]}"#, false),
        (r#"{"t":1,"a":1e,"s":"x","b":true,"more":[1,{"n":null}]}"#, false),
        (r#"{"t":1,"a":-1.5,"s":"\x","b":true,"more":[1,{"n":null}]}"#, false),
        (r#"{"t":1,"a":-1.5,"s":"x,"b":true,"more":[1,{"n":null}]}"#, false),
        (r#"{"t":1,"a":-1.5,"s":"x","b":truE,"more":[1,{"n":null}]}"#, false),
        ("{\"t\":1,\"a\":-1.5,\"s\":\"\t\",\"b\":true,\"more\":[1,{\"n\":null}]}", false),
        ("", false),
    ] {
        let mut decoder = fresh();
        assert!(!fits(&mut decoder, base.as_bytes()));
        assert_eq!(fits(&mut decoder, value.as_bytes()), expected, "{value}");
    }
    let mut decoder = fresh();
    let with = |byte: u8| [br#"{"t":1,"s":""#, &[byte][..], br#""}"#].concat();
    assert!(!fits(&mut decoder, &with(b'x')));
    all(&mut decoder, &with(0xe9));
    assert_eq!(all(&mut decoder, &with(0xe9)), all(&mut fresh(), &with(0xe9)));
    assert!(all(&mut decoder, &with(0xe9)).contains("NotUtf8"));
}

#[test]
fn several_shapes_are_known_at_once() {
    let shapes = [
        r#"{"t":1}"#,
        r#"{"t":1,"a":2}"#,
        r#"{"t":1,"a": 2}"#,
        r#"{"t":1,"c":{"b":2}}"#,
        r#"{"t":1,"c":{"b":2},"s":"x"}"#,
        r#" {"t":1,"c":{"b":2},"s":"x"}"#,
        r#"{"s":[],"more":[[1],[2,3]],"t":1}"#,
        "{}",
    ];
    let mut decoder = fresh();
    shapes.iter().for_each(|shape| assert!(!fits(&mut decoder, shape.as_bytes()), "{shape}"));
    shapes[..6].iter().for_each(|shape| assert!(fits(&mut decoder, shape.as_bytes()), "{shape}"));
    assert!(!fits(&mut decoder, shapes[6].as_bytes()), "an array where a scalar is read");
    assert!(fits(&mut decoder, shapes[7].as_bytes()));
}

#[test]
fn duplicates_that_count_are_left_to_the_general_reader() {
    for (value, expected) in [
        (r#"{"t":1,"a":1,"a":2}"#, false),
        (r#"{"t":1,"a":{"b":1},"a":2}"#, false),
        (r#"{"t":1,"a":2,"a":{"b":1}}"#, false),
        (r#"{"t":1,"x":1,"x":2}"#, true),
        (r#"{"t":1,"x":{"a":1},"a":2}"#, true),
    ] {
        let mut decoder = fresh();
        fits(&mut decoder, value.as_bytes());
        assert_eq!(fits(&mut decoder, value.as_bytes()), expected, "{value}");
    }
}

#[test]
fn shapes_without_end_are_learned_ever_more_rarely_and_forgotten_for_new_ones() {
    let mut decoder = fresh();
    let room = decoder.shapes.room();
    let mut learned = 0;
    for number in 0..50_000 {
        let value = format!(r#"{{"t":1,"member {number}":{{"b":2}}}}"#);
        let before = decoder.shapes.used();
        assert!(!is_known(&mut decoder, value.as_bytes()));
        learned += usize::from(decoder.shapes.used() > before);
    }
    assert!((1..500).contains(&learned), "{learned}");
    assert_eq!(decoder.shapes.room(), room, "memory is what it was in the beginning");
    let steady = r#"{"t":1,"a":2}"#.as_bytes();
    let misses = (0..100_000).filter(|_| !is_known(&mut decoder, steady)).count();
    assert!(misses <= 1 << 16, "{misses}");
    assert!(fits(&mut decoder, steady));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_decoder_with_a_past_says_what_one_without_says(
        values in prop::collection::vec(json(), 1..4),
        changed in prop::collection::vec((any::<prop::sample::Index>(), edits()), 1..30),
    ) {
        let values: Vec<_> = values.iter().map(|value| format!(r#"{{"t":1,"a":{value},"s":{value}}}"#)).collect();
        let mut decoder = fresh();
        for value in &values {
            fits(&mut decoder, value.as_bytes());
        }
        for (index, edits) in changed {
            fits(&mut decoder, &edited(index.get(&values).clone(), edits));
        }
    }
}
