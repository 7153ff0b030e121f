//! What is one JSON object, and what is not: in the manner of JSONTestSuite, whose cases begin with y and n.

use super::{check, decoder, outcome};

#[test]
fn every_value_of_the_grammar_is_accepted() {
    let values = [
        "0",
        "-0",
        "1",
        "-1",
        "10",
        "0.5",
        "-0.5",
        "1.0",
        "0e1",
        "0E+1",
        "1e-2",
        "1.5e10",
        "123e65",
        "1e999",
        "-1e-999",
        "100000000000000000000000000000000000000000000",
        "true",
        "false",
        "null",
        "[]",
        "[ ]",
        "[[]]",
        "[1]",
        "[1,2]",
        "[ 1 , 2 ]",
        "[null,1,\"1\",{}]",
        "{}",
        "{ }",
        r#"{"a":{}}"#,
        r#"{"":0}"#,
        r#"{"a":1,"a":1}"#,
        "\"\"",
        "\"a\"",
        r#""\"\\\/\b\f\n\r\t""#,
        r#""\u0000""#,
        r#""\uABcd""#,
        r#""\ud800""#,
        r#""\udc00""#,
        r#""\ud800\ud800""#,
        r#""\ud800\n""#,
        r#""\ud83d\ude00""#,
        r#""\u2028""#,
        "\"\u{2028}\u{7f}\u{ffff}\u{10ffff}\"",
        "\"\u{feff}\"",
        r#""// no comment""#,
        r#""a'b""#,
        r#"["\u0022"]"#,
        r#"{"a\nb":"c"}"#,
        "\t[\r\n]\t",
        r#"[1]"#,
        r#""eight by""#,
        r#""eight byt""#,
        r#""a string that is longer than sixteen bytes, with \" in it""#,
    ];
    for value in values {
        check(
            "kafka",
            "",
            &[(&format!("{{\"v\":{value}}}"), "7:"), (&format!(" \t\r\n{{ \"v\" : {value} }} \n"), "7:")],
        );
    }
}

#[test]
fn what_is_not_in_the_grammar_is_refused_as_a_member_too() {
    let values = [
        "",
        "+1",
        "01",
        "-01",
        "00",
        "1.",
        ".5",
        "-.5",
        "-",
        "--1",
        "1e",
        "1e+",
        "1E-",
        "1.e1",
        "0x1",
        "1_0",
        "1 2",
        "1a",
        "1.2.3",
        "1e1.5",
        "1e5e5",
        "Infinity",
        "-Infinity",
        "NaN",
        "inf",
        "nan",
        "\u{ff11}",
        "True",
        "TRUE",
        "tru",
        "truee",
        "nul",
        "nulll",
        "fals",
        "undefined",
        "[",
        "]",
        "[1",
        "[1,",
        "[,1]",
        "[1,]",
        "[1,,2]",
        "[1 2]",
        "[1}",
        "[}",
        "{]",
        "{",
        "}",
        "{,}",
        "{1:1}",
        "{a:1}",
        "{'a':1}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{\"a\" 1}",
        "{\"a\"::1}",
        "{\"a\":1 \"b\":2}",
        "{\"a\":1,,\"b\":2}",
        "{null:1}",
        "{\"a\":1]",
        "[\"a\":1]",
        "\"",
        "\"a",
        "a\"",
        "'a'",
        "\"\\\"",
        r#""\x""#,
        r#""\'""#,
        r#""\0""#,
        r#""\a""#,
        r#""\U0041""#,
        r#""\u""#,
        r#""\u0""#,
        r#""\u004""#,
        r#""\u00g0""#,
        r#""\u+041""#,
        r#""\u 041""#,
        r#""\ud800\u""#,
        r#""\ud800\u1""#,
        r#""\ud800\"#,
        "\"\\\u{e9}\"",
        "\"\n\"",
        "\"\t\"",
        "\"\0\"",
        "\"\u{1f}\"",
        "\"seven b\u{1}\"",
        "\"seven bytes and more\u{1f} than that\"",
        "1/**/",
        "//",
        "#",
        "\u{b}1",
        "\u{c}1",
        "\u{a0}1",
        "\u{feff}1",
        "\0",
        "1\0",
        "*",
        "<null>",
        "[1]x",
        "\u{2028}1",
        "\\u0031",
        ":",
        ",",
        "\"a\"\"b\"",
    ];
    for value in values {
        check("kafka", "", &[(&format!("{{\"v\":{value}}}"), "malformed")]);
    }
}

#[test]
fn only_one_object_and_nothing_around_it_but_white_space_is_a_value() {
    let values = [
        "",
        " ",
        "[]",
        "1",
        "null",
        "\"a\"",
        "true",
        "{",
        "}",
        "{}{}",
        "{},",
        "{}x",
        "{}}",
        "{}]",
        "{} {}",
        "x{}",
        ",{}",
        "\u{feff}{}",
        "{}\0",
        "\0{}",
        "{}\u{a0}",
        "{}\u{b}",
        "{}//",
        "/**/{}",
        "[{}]",
        "({})",
        "{\"a\":1",
        "{\"a\":",
        "{\"a\"",
        "{\"",
        "{\"a",
        "{\"a\":1,",
        "{\"a\":\"\\",
        "{\"a\":\"\\u00",
        "{\"a\":tr",
        "{\"a\":-",
        "{\"a\":[1,",
    ];
    for value in values {
        check("kafka", "", &[(value, "malformed")]);
    }
}

#[test]
fn what_is_not_utf_8_is_refused_wherever_it_stands() {
    let bad: [&[u8]; 9] = [
        b"\xff",
        b"\x80",
        b"\xc3",
        b"\xc0\x80",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\xe2\x82",
        b"\xf0\x9f\x98",
        b"\xfe\xff",
    ];
    let mut decoder = decoder("kafka", "");
    for bytes in bad {
        for (before, after) in [("{\"v\":\"", "\"}"), ("{\"", "\":1}"), ("{}", ""), ("", "{}"), ("{\"v\":", "}")] {
            let value = [before.as_bytes(), bytes, after.as_bytes()].concat();
            assert_eq!(outcome(&mut decoder, 7, &value), "malformed", "{value:?}");
        }
    }
    let utf16: Vec<u8> = "{}".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(outcome(&mut decoder, 7, &utf16), "malformed");
}

#[test]
fn the_128th_level_is_the_last() {
    let arrays = |levels: usize| format!("{{\"v\":{}{}}}", "[".repeat(levels - 1), "]".repeat(levels - 1));
    let objects = |levels: usize| format!("{}{{}}{}", "{\"v\":".repeat(levels - 1), "}".repeat(levels - 1));
    let wide = format!("{{\"v\":[{}]}}", ["[[[]]]"; 1000].join(","));
    check("kafka", "", &[(&arrays(128), "7:"), (&objects(128), "7:"), (&wide, "7:")]);
    check("kafka", "", &[(&arrays(129), "malformed"), (&objects(129), "malformed")]);
    check("kafka", "", &[(&arrays(100_000), "malformed"), (&objects(100_000), "malformed")]);
    check("kafka", "", &[(&"[".repeat(100_000), "malformed"), (&"{\"v\":".repeat(100_000), "malformed")]);
}

#[test]
fn every_byte_of_a_string_is_looked_at_wherever_it_falls() {
    for length in 0..40 {
        for place in 0..length {
            for bad in ["\u{1}", "\n", "\\x", "\u{1f}"] {
                let mut text = "a".repeat(length);
                text.insert_str(place, bad);
                check("kafka", "", &[(&format!("{{\"v\":\"{text}\"}}"), "malformed")]);
            }
            for good in ["\\n", "é", " ", "!", "#", "[", "]", "\u{7f}", "\u{80}", "\\\"", "\\\\"] {
                let mut text = "a".repeat(length);
                text.insert_str(place, good);
                check("kafka", "", &[(&format!("{{\"v\":\"{text}\"}}"), "7:")]);
            }
        }
    }
}
