//! Random values against serde_json, std and jiff, which know nothing of our reader.

use proptest::prelude::*;
use serde_json::{Map, Value as Json};

use super::super::Value;
use super::super::number::Short;
use super::{decoder, outcome};

/// JSON text with escapes, odd white space and numbers of any size.
pub(super) fn json() -> impl Strategy<Value = String> {
    let string =
        r#"([ -!#-\[\]-~é😀]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4}){0,12}"#.prop_map(|inside| format!("\"{inside}\""));
    let number = "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,4})?";
    let leaf = prop_oneof![string.clone(), number, Just("true".into()), Just("false".into()), Just("null".into())];
    let space = "[ \t\r\n]{0,2}";
    leaf.prop_recursive(5, 40, 5, move |inner| {
        let array = (space, prop::collection::vec(inner.clone(), 0..5))
            .prop_map(|(space, items)| format!("[{space}{}{space}]", items.join(&format!("{space},"))));
        let name = prop_oneof![string.clone(), Just("\"a\"".to_owned()), Just("\"b\"".to_owned())];
        let object = (space, prop::collection::vec((name, inner), 0..5)).prop_map(|(space, members)| {
            let members: Vec<_> = members.iter().map(|(name, value)| format!("{space}{name}:{space}{value}")).collect();
            format!("{{{}{space}}}", members.join(","))
        });
        prop_oneof![array, object]
    })
}

/// A few bytes put in, taken out or written over.
pub(super) fn edits() -> impl Strategy<Value = Vec<(u8, prop::sample::Index, u8)>> {
    let bytes = b"{}[]\",:\\ue+-.0129tfn \t\n\0\x1f/\x80\xc3\xa9\xff";
    prop::collection::vec((0_u8..3, any::<prop::sample::Index>(), prop::sample::select(&bytes[..])), 0..3)
}

pub(super) fn edited(text: String, edits: Vec<(u8, prop::sample::Index, u8)>) -> Vec<u8> {
    let mut bytes = text.into_bytes();
    for (edit, place, byte) in edits {
        match edit {
            0 => bytes.insert(place.index(bytes.len() + 1), byte),
            1 if !bytes.is_empty() => drop(bytes.remove(place.index(bytes.len()))),
            _ if !bytes.is_empty() => {
                let place = place.index(bytes.len());
                bytes[place] = byte;
            }
            _ => {}
        }
    }
    bytes
}

/// serde_json's reader of values that nobody wants checks exactly the grammar, but neither UTF-8 nor depth.
fn is_one_object(value: &[u8]) -> bool {
    str::from_utf8(value).is_ok_and(|text| {
        text.trim_start_matches([' ', '\t', '\r', '\n']).starts_with('{')
            && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn we_accept_what_serde_json_accepts_and_nothing_else(value in json(), edits in edits()) {
        let value = edited(format!("{{\"v\":{value}}}"), edits);
        let ours = outcome(&mut decoder("kafka", "count:v first:v.a last:b"), 7, &value) != "malformed";
        prop_assert_eq!(ours, is_one_object(&value), "{}", String::from_utf8_lossy(&value));
    }

    #[test]
    fn we_find_the_members_that_serde_json_finds(value in json()) {
        let text = format!("{{\"v\":{value}}}");
        let Ok(tree) = serde_json::from_str::<Json>(&text) else { return Ok(()) }; // a lone surrogate, or 1e999
        let mut decoder = decoder("kafka", "count:v count:v.a count:v.b.a first:v.a");
        let decoded = decoder.decode(0, text.as_bytes()).expect("serde_json accepts it");
        for (index, pointer) in ["/v", "/v/a", "/v/b/a"].iter().enumerate() {
            // A pointer also leads into arrays, but only by numbers.
            let there = tree.pointer(pointer).is_some_and(|found| !found.is_null());
            prop_assert_eq!(decoded.value(index) == Value::Present, there, "{} in {}", pointer, text);
        }
        if let (Value::Scalar(ours), Some(theirs @ Json::String(_))) = (decoded.value(3), tree.pointer("/v/a")) {
            prop_assert_eq!(str::from_utf8(ours).expect("UTF-8"), theirs.to_string());
        }
    }

    #[test]
    fn strings_print_as_serde_json_prints_them(string in any::<String>(), escape_all in any::<bool>()) {
        prop_assume!(string.len() <= super::super::MAX_SCALAR_BYTES);
        let canonical = Json::from(string.as_str()).to_string();
        let written = if escape_all {
            format!("\"{}\"", string.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect::<String>())
        } else {
            canonical.clone()
        };
        let value = format!("{{\"v\":{written}}}");
        prop_assert_eq!(outcome(&mut decoder("kafka", "last:v"), 7, value.as_bytes()), format!("7: '{canonical}'"));
    }

    #[test]
    fn numbers_come_back_as_they_were(bits in any::<u64>()) {
        let number = f64::from_bits(bits);
        prop_assume!(number.is_finite());
        let value = Json::Object(Map::from_iter([("n".to_owned(), Json::from(number))])).to_string();
        prop_assert_eq!(outcome(&mut decoder("kafka", "sum:n"), 7, value.as_bytes()), format!("7: {number:?}"));
    }

    #[test]
    fn numbers_are_what_std_reads(text in "-?(0|[1-9][0-9]{0,40})(\\.[0-9]{1,60})?([eE][+-]?[0-9]{1,3})?") {
        let number: f64 = text.parse().expect("a number");
        let expected = if number.is_finite() { format!("7: {number:?}") } else { "number_out_of_range".to_owned() };
        let value = format!("{{\"n\":{text}}}");
        prop_assert_eq!(outcome(&mut decoder("kafka", "sum:n"), 7, value.as_bytes()), expected);
    }

    #[test]
    fn a_whole_time_is_the_same_in_every_notation(ms in 0_i64..=253_402_300_799_999, shift in 0_usize..400) {
        let zeros = "0".repeat(shift);
        for text in [format!("{ms}{zeros}e-{shift}"), format!("{ms}.{zeros}0e0"), format!("0.{zeros}{ms}e{}", shift + ms.to_string().len())] {
            let value = format!("{{\"t\":{text}}}");
            prop_assert_eq!(outcome(&mut decoder("unix_ms t", ""), 0, value.as_bytes()), format!("{ms}:"), "{}", text);
        }
    }

    #[test]
    fn times_are_what_jiff_prints(ms in 0_i64..=253_402_200_000_000, offset_s in -1439_i32..=1439) {
        let timestamp = jiff::Timestamp::from_millisecond(ms).expect("in range");
        let offset = jiff::tz::Offset::from_seconds(offset_s * 60).expect("in range");
        let value = format!("{{\"t\":\"{}\"}}", timestamp.display_with_offset(offset));
        prop_assert_eq!(outcome(&mut decoder("rfc3339 t", ""), 0, value.as_bytes()), format!("{ms}:"), "{}", value);
    }

    #[test]
    fn arbitrary_bytes_never_panic(value in prop::collection::vec(any::<u8>(), 0..200), inside in any::<bool>()) {
        let value = if inside { [b"{\"t\":", &value[..], b"}"].concat() } else { value };
        for time in ["kafka", "unix_ns t", "rfc3339 t"] {
            outcome(&mut decoder(time, "sum:t last:t.a count:t"), 0, &value);
        }
    }

    #[test]
    fn the_parts_never_panic_on_text_that_no_reader_accepted(text in "[-+.eE0-9\\\\ud8:TZ \"]{0,40}") {
        let text = text.as_bytes();
        let _ = super::super::number::to_f64(&Short::NOT, text);
        let _ = super::super::time::unix(text, crate::config::TimeFormat::UnixNs);
        let _ = super::super::time::rfc3339(text, true);
        let _ = super::super::time::rfc3339(text, false);
        let _ = super::super::string::rewrite(text, 10, &mut Vec::new());
    }
}
