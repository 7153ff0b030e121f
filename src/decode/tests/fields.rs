//! Paths, duplicates, and what each aggregate takes.

use super::{check, decoder, outcome};

#[test]
fn numeric_aggregates_take_numbers_and_skip_null() {
    check(
        "kafka",
        "sum:n mean:n min:n max:n",
        &[
            (r#"{"n":1.5}"#, "7: 1.5 1.5 1.5 1.5"),
            (r#"{"n":null}"#, "7: - - - -"),
            ("{}", "7: - - - -"),
            (r#"{"n":"1"}"#, "7: - - - - bad_field 0"),
            (r#"{"n":true}"#, "7: - - - - bad_field 0"),
            (r#"{"n":{}}"#, "7: - - - - bad_field 0"),
            (r#"{"n":[1]}"#, "7: - - - - bad_field 0"),
            (r#"{"n":1e999}"#, "number_out_of_range"),
            (r#"{"n":-1.8e308}"#, "number_out_of_range"),
            (r#"{"n":1e-999}"#, "7: 0.0 0.0 0.0 0.0"),
        ],
    );
}

#[test]
fn doubles_are_rounded_correctly() {
    let table = [
        ("0", 0.0),
        ("-0", -0.0),
        ("9007199254740993", 9007199254740992.0),
        ("9007199254740993.0000000000000000000000000000000000000000000000000001", 9007199254740994.0),
        ("0.1", 0.1),
        ("-123.456e-7", -123.456e-7),
        ("1e22", 1e22),
        ("1e23", 1e23),
        ("123456789012345678901234567890", 123456789012345678901234567890.0),
        ("2.2250738585072011e-308", f64::from_bits(0xf_ffff_ffff_ffff)),
        ("5e-324", 5e-324),
        ("2e-324", 0.0),
        ("1.7976931348623158e308", f64::MAX),
        ("0e99999", 0.0),
    ];
    let mut decoder = decoder("kafka", "sum:n");
    let mut same = |text: &str, expected: f64| {
        let value = format!("{{\"n\":{text}}}");
        assert_eq!(outcome(&mut decoder, 7, value.as_bytes()), format!("7: {expected:?}"), "{text:.80}");
    };
    for (text, expected) in table {
        same(text, expected);
    }
    let zeros = |count| "0".repeat(count);
    // std gives up on exponents of more than five digits; nothing else can reach them but text as long as this.
    same(&format!("0.{}15e700001", zeros(700_000)), 1.5);
    same(&format!("15{}e-700000", zeros(700_000)), 15.0);
    // Half way between two doubles but for one digit far behind.
    same(&format!("9007199254740993.{}", zeros(5000)), 9007199254740992.0);
    same(&format!("9007199254740993.{}1", zeros(5000)), 9007199254740994.0);
    same(&format!("-0.{}", zeros(5000)), -0.0);
}

#[test]
fn count_takes_whatever_is_not_null() {
    let table = ["0", "1e999", "\"\"", "false", "{}", "[]", "[null]"].map(|value| (value, "7: +"));
    for (value, expected) in table.into_iter().chain([("null", "7: -")]) {
        check("kafka", "count:c", &[(&format!("{{\"c\":{value}}}"), expected)]);
    }
    check("kafka", "count count:c", &[("{}", "7: - -"), (r#"{"c":0}"#, "7: - +")]);
}

#[test]
fn first_and_last_keep_scalars_as_json() {
    check(
        "kafka",
        "first:v last:v",
        &[
            (r#"{"v":1.50e+2}"#, "7: '1.50e+2' '1.50e+2'"),
            (r#"{"v":1e999}"#, "7: '1e999' '1e999'"),
            (r#"{"v":true}"#, "7: 'true' 'true'"),
            (r#"{"v":false}"#, "7: 'false' 'false'"),
            (r#"{"v":null}"#, "7: - -"),
            (r#"{"v":""}"#, r#"7: '""' '""'"#),
            (r#"{"v":"é/😀"}"#, r#"7: '"é/😀"' '"é/😀"'"#),
            (r#"{"v":{}}"#, "7: - - bad_field 0"),
            (r#"{"v":[]}"#, "7: - - bad_field 0"),
        ],
    );
    check("kafka", "first:v sum:v", &[(r#"{"v":1e999}"#, "number_out_of_range"), (r#"{"v":10}"#, "7: '10' 10.0")]);
}

#[test]
fn strings_are_written_anew_with_as_few_escapes_as_there_can_be() {
    let table = [
        (r"\u0061\/b", r"a/b"),
        (r"\u00e9\u20AC", "é€"),
        (r"\ud83d\uDE00", "😀"),
        (r"\ud83d", r"\ud83d"),
        (r"\uDE00", r"\ude00"),
        (r"\ude00\ud83d", r"\ude00\ud83d"),
        (r"\ud83d\ud83d\ude00", r"\ud83d😀"),
        (r"\ud83dx\ude00", r"\ud83dx\ude00"),
        (r"\ud83d\n", r"\ud83d\n"),
        (r"\u0022\u005c\u002f", r#"\"\\/"#),
        (r"\u0008\u000c\u000A\u000d\u0009", r"\b\f\n\r\t"),
        (r"\u0000\u001F\u007f", "\\u0000\\u001f\u{7f}"),
        (
            r"long plain text before \t and long plain text after",
            r"long plain text before \t and long plain text after",
        ),
    ];
    for (inside, expected) in table {
        check("kafka", "last:v", &[(&format!("{{\"v\":\"{inside}\"}}"), &format!("7: '\"{expected}\"'"))]);
    }
}

#[test]
fn scalars_end_at_256_bytes_of_the_decoded_string_or_of_the_number() {
    let scalar = |value: String| outcome(&mut decoder("kafka", "last:v"), 7, format!("{{\"v\":{value}}}").as_bytes());
    let kept = |value: String| !scalar(value).contains("bad_field");
    assert!(kept(format!("\"{}\"", "x".repeat(256))));
    assert!(!kept(format!("\"{}\"", "x".repeat(257))));
    assert!(kept(format!("\"{}\"", "é".repeat(128))));
    assert!(!kept(format!("\"{}x\"", "é".repeat(128))));
    assert!(kept(format!("\"{}\"", r"\u0061".repeat(256))));
    assert!(!kept(format!("\"{}\"", r"\u0061".repeat(257))));
    assert!(kept(format!("\"{}\"", r"\u0000".repeat(256))));
    assert!(kept(format!("\"{}x\"", r"\ud800".repeat(85))));
    assert!(!kept(format!("\"{}xx\"", r"\ud800".repeat(85))));
    assert!(kept("1".repeat(256)));
    assert!(!kept("1".repeat(257)));
    assert!(kept(format!("-{}", "1".repeat(255))));
}

#[test]
fn a_scalar_too_long_leaves_those_after_it_whole() {
    let long = r"\u0061".repeat(300);
    let value = format!(r#"{{"a":"{long}","b":"x\ny"}}"#);
    check("kafka", "first:a first:b", &[(&value, "7: - '\"x\\ny\"' bad_field 0")]);
}

#[test]
fn paths_lead_through_objects_only_and_names_are_compared_decoded() {
    check(
        "kafka",
        "first:a first:a.b first:a.b.c first:é first:x..y",
        &[
            (r#"{"a":1}"#, "7: '1' - - - -"),
            (r#"{"a":{"b":2}}"#, "7: - '2' - - - bad_field 0"),
            (r#"{"a":{"b":{"c":3}}}"#, "7: - - '3' - - bad_field 0"),
            (r#"{"a":[{"b":2}]}"#, "7: - - - - - bad_field 0"),
            (r#"{"a.b":2,"b":3,"c":4}"#, "7: - - - - -"),
            (r#"{"z":{"a":1,"b":2}}"#, "7: - - - - -"),
            (r#"{"\u0061":1}"#, "7: '1' - - - -"),
            (r#"{"\u0061\ud800":1}"#, "7: - - - - -"),
            (r#"{"aa":1,"":2,"\n":3}"#, "7: - - - - -"),
            (r#"{"\u00e9":1}"#, "7: - - - '1' -"),
            (r#"{"é":1}"#, "7: - - - '1' -"),
            (r#"{"e\u0301":1}"#, "7: - - - - -"),
            (r#"{"x":{"":{"y":5}}}"#, "7: - - - - '5'"),
        ],
    );
}

#[test]
fn the_last_of_a_duplicate_member_replaces_all_of_the_earlier() {
    check(
        "kafka",
        "count:a sum:a.b sum:a.c",
        &[
            (r#"{"a":1,"a":2}"#, "7: + - -"),
            (r#"{"a":1,"a":null}"#, "7: - - -"),
            (r#"{"a":{"b":1,"c":2},"a":{"b":3}}"#, "7: + 3.0 -"),
            (r#"{"a":{"b":1,"b":4}}"#, "7: + 4.0 -"),
            (r#"{"a":{"b":1},"a":5}"#, "7: + - -"),
            (r#"{"a":{"b":1},"\u0061":{"c":5}}"#, "7: + - 5.0"),
            (r#"{"a":{"b":1e999},"a":{"b":1}}"#, "7: + 1.0 -"),
            (r#"{"a":{"b":1e999},"a":[]}"#, "7: + - -"),
            (r#"{"a":{"b":1},"a":{"b":1e999}}"#, "number_out_of_range"),
            (r#"{"a":{"b":"x","b":7}}"#, "7: + 7.0 -"),
        ],
    );
    check("unix_ms t.x", "", &[(r#"{"t":{"x":1},"t":{}}"#, "bad_time"), (r#"{"t":3,"t":{"x":1}}"#, "1:")]);
}

#[test]
fn unread_numbers_may_be_of_any_size() {
    check("unix_ms t", "sum:n", &[(r#"{"u":1e999,"a":[-1e999],"t":1,"n":2}"#, "1: 2.0")]);
}

#[test]
fn one_record_leaves_nothing_behind_for_the_next() {
    check(
        "kafka",
        "sum:a.b last:c",
        &[
            (r#"{"a":{"b":1},"c":"\n"}"#, r#"7: 1.0 '"\n"'"#),
            ("{}", "7: - -"),
            (r#"{"a":{"b":1},"#, "malformed"),
            ("{}", "7: - -"),
            (r#"{"c":"\t"}"#, r#"7: - '"\t"'"#),
        ],
    );
}

#[test]
fn details_say_what_and_where() {
    let table = [
        (r#"{"t":1 "#, "the value ends too early, at byte 7"),
        (r#"{"t":1,}"#, "expected a member name in quotes at byte 7"),
        (r#"{"t":"a"#, "the value ends too early, at byte 7"),
        ("", "the value ends too early, at byte 0"),
        ("{}", "the time is missing or null"),
        (r#"{"t":"a"}"#, "the time should be a number, but is a string at byte 5"),
        (r#"{"t":1.5}"#, "the time is not a whole number at byte 5"),
        (r#"{"t":1,"n":1e400}"#, "the number does not fit a double at byte 11"),
    ];
    for (value, expected) in table {
        let mut decoder = decoder("unix_ms t", "sum:n");
        let reject = decoder.decode(0, value.as_bytes()).expect_err(value);
        assert_eq!(reject.detail.to_string(), expected);
    }
    let mut decoder = decoder("kafka", "sum:n");
    let bad = decoder.decode(0, br#"{"n":[]}"#).expect("read").bad_field.expect("bad");
    assert_eq!(bad.detail.to_string(), "expected a number, but found an array at byte 5");
}
