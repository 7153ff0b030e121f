//! Event times: formats, exactness, range.

use super::{check, decoder, outcome};

/// `(time, expected)` for `{"t":<time>}`.
fn times(format: &str, table: &[(&str, &str)]) {
    for (time, expected) in table {
        let expected = expected.parse::<i64>().map_or((*expected).to_owned(), |ms| format!("{ms}:"));
        check(&format!("{format} t"), "", &[(&format!("{{\"t\":{time}}}"), &expected)]);
    }
}

#[test]
fn whole_numbers_in_any_notation_are_milliseconds() {
    times(
        "unix_ms",
        &[
            ("0", "0"),
            ("-0", "0"),
            ("-0.0e5", "0"),
            ("0e999999999999999999999", "0"),
            ("5.0", "5"),
            ("5.00000000000000000000000000000000000000000000", "5"),
            ("1.7e12", "1700000000000"),
            ("1.7E+12", "1700000000000"),
            ("17000000000000e-1", "1700000000000"),
            ("0.0000000000000000000000000000000000000000000000000000000017e58", "17"),
            ("5.5", "bad_time"),
            ("1e-1", "bad_time"),
            ("1e-400", "bad_time"),
            ("0.9999999999999999999999999999", "bad_time"),
            ("1700000000000.0000000000000000000000000000000000000000000000001", "bad_time"),
            ("-1", "bad_time"),
            ("-0.5", "bad_time"),
            ("253402300799999", "253402300799999"),
            ("253402300800000", "bad_time"),
            ("9223372036854775808", "bad_time"),
            ("18446744073709551617", "bad_time"),
            ("340282366920938463463374607431768211457", "bad_time"),
            ("1e300", "bad_time"),
            ("-1e300", "bad_time"),
            ("1.7976931348623157e308", "bad_time"),
            ("1e999", "number_out_of_range"),
            ("-1e999", "number_out_of_range"),
            ("1.8e308", "number_out_of_range"),
            ("1e99999999999999999999", "number_out_of_range"),
            ("\"5\"", "bad_time"),
            ("null", "bad_time"),
            ("true", "bad_time"),
            ("{}", "bad_time"),
            ("[5]", "bad_time"),
        ],
    );
}

#[test]
fn a_whole_number_of_310_digits_and_a_half_is_out_of_range() {
    times("unix_ms", &[(&format!("1{}.5", "0".repeat(309)), "number_out_of_range")]);
    times("unix_ms", &[(&format!("1{}.5", "0".repeat(200)), "bad_time")]);
    times("unix_ms", &[(&format!("5.{}", "0".repeat(100_000)), "5")]);
    times("unix_ms", &[(&format!("0.{}5e100001", "0".repeat(100_000)), "5")]);
}

#[test]
fn seconds_become_milliseconds_and_finer_units_are_floored() {
    times("unix_s", &[("1", "1000"), ("1.5", "bad_time"), ("253402300799", "253402300799000")]);
    times("unix_s", &[("253402300800", "bad_time"), ("9223372036854775807", "bad_time"), ("-1", "bad_time")]);
    times("unix_us", &[("999", "0"), ("1000", "1"), ("1999", "1"), ("-1", "bad_time"), ("0.5", "bad_time")]);
    times("unix_us", &[("253402300799999999", "253402300799999"), ("253402300800000000", "bad_time")]);
    times("unix_ns", &[("1700000000123999999", "1700000000123"), ("999999", "0"), ("-1", "bad_time")]);
    times("unix_ns", &[("253402300799999999999", "253402300799999"), ("253402300800000000000", "bad_time")]);
}

#[test]
fn integers_are_not_read_through_a_double() {
    // The nearest double is …000, which would be the next millisecond.
    times("unix_ns", &[("1700000000999999999", "1700000000999"), ("1699999999999999999", "1699999999999")]);
}

#[test]
fn rfc_3339_is_taken_in_all_its_forms_and_in_no_other() {
    let table = [
        ("1970-01-01T00:00:00Z", "0"),
        ("1970-01-01t00:00:00z", "0"),
        ("1970-01-01 00:00:00Z", "bad_time"),
        ("2024-02-29T12:34:56.789Z", "1709210096789"),
        ("2024-02-29T12:34:56.7Z", "1709210096700"),
        ("2024-02-29T12:34:56.7899999999999999999999999999999Z", "1709210096789"),
        ("2024-02-29T12:34:56.789+05:30", "1709190296789"),
        ("2024-02-29T12:34:56-00:00", "1709210096000"),
        ("2000-02-29T00:00:00Z", "951782400000"),
        ("9999-12-31T23:59:59.999999Z", "253402300799999"),
        ("1969-12-31T23:30:00-01:00", "1800000"),
        ("2016-12-31T23:59:60Z", "1483228800000"),
        ("2016-12-31T23:59:60.5Z", "1483228800500"),
        ("2017-01-01T05:29:60+05:30", "1483228800000"),
        ("2016-12-31T15:59:60-08:00", "1483228800000"),
        ("\\u0031970-01-01\\u005400:00:00Z", "0"),
        ("2016-12-31T23:59:60+01:00", "bad_time"),
        ("2016-12-31T22:59:60Z", "bad_time"),
        ("2016-12-31T23:59:61Z", "bad_time"),
        ("9999-12-31T23:59:60Z", "bad_time"),
        ("9999-12-31T23:59:59-00:01", "bad_time"),
        ("1969-12-31T23:59:59.999Z", "bad_time"),
        ("1970-01-01T00:00:00+00:01", "bad_time"),
        ("0000-01-01T00:00:00Z", "bad_time"),
        ("2023-02-29T00:00:00Z", "bad_time"),
        ("2100-02-29T00:00:00Z", "bad_time"),
        ("2024-04-31T00:00:00Z", "bad_time"),
        ("2024-00-01T00:00:00Z", "bad_time"),
        ("2024-13-01T00:00:00Z", "bad_time"),
        ("2024-01-00T00:00:00Z", "bad_time"),
        ("2024-01-32T00:00:00Z", "bad_time"),
        ("2024-01-01T24:00:00Z", "bad_time"),
        ("2024-01-01T00:60:00Z", "bad_time"),
        ("2024-01-01T00:00:00+24:00", "bad_time"),
        ("2024-01-01T00:00:00+00:60", "bad_time"),
        ("2024-01-01T00:00:00+0000", "bad_time"),
        ("2024-01-01T00:00:00+00", "bad_time"),
        ("2024-01-01T00:00:00", "bad_time"),
        ("2024-01-01T00:00:00.Z", "bad_time"),
        ("2024-01-01T00:00:00,5Z", "bad_time"),
        ("2024-01-01T00:00Z", "bad_time"),
        ("2024-1-1T00:00:00Z", "bad_time"),
        ("2024-01-01T00:00:00Z ", "bad_time"),
        (" 2024-01-01T00:00:00Z", "bad_time"),
        ("2024-01-01T00:00:00ZZ", "bad_time"),
        ("2024-01-01_00:00:00Z", "bad_time"),
        ("2024-01-01", "bad_time"),
        ("+2024-01-01T00:00:00Z", "bad_time"),
        ("12024-01-01T00:00:00Z", "bad_time"),
        ("2024-01-01T00:00:00\u{2212}01:00", "bad_time"),
        ("\u{661}970-01-01T00:00:00Z", "bad_time"),
        ("\\ud834970-01-01T00:00:00Z", "bad_time"),
        ("", "bad_time"),
    ];
    for (text, expected) in table {
        times("rfc3339", &[(&format!("\"{text}\""), expected)]);
    }
    times("rfc3339", &[("0", "bad_time"), ("1e999", "number_out_of_range"), ("null", "bad_time"), ("[]", "bad_time")]);
}

#[test]
fn the_kafka_timestamp_is_the_time_unless_a_field_is() {
    let table = [
        (0, "0:"),
        (1_700_000_000_000, "1700000000000:"),
        (253_402_300_799_999, "253402300799999:"),
        (253_402_300_800_000, "bad_time"),
        (-1, "bad_time"),
        (i64::MIN, "bad_time"),
        (i64::MAX, "bad_time"),
    ];
    for (timestamp_ms, expected) in table {
        assert_eq!(outcome(&mut decoder("kafka", ""), timestamp_ms, b"{}"), expected);
    }
    assert_eq!(outcome(&mut decoder("unix_ms t", ""), -1, br#"{"t":5}"#), "5:");
}

#[test]
fn reasons_are_judged_in_order_wherever_they_stand() {
    check(
        "unix_ms t",
        "first:f sum:n",
        &[
            (r#"{"t":-1,"n":1e999,]"#, "malformed"),
            (r#"{"t":1e999}x"#, "malformed"),
            (r#"{"t":-1,"n":1e999,"f":{}}"#, "number_out_of_range"),
            (r#"{"n":1e999}"#, "number_out_of_range"),
            (r#"{"f":[],"n":[]}"#, "bad_time"),
            (r#"{"t":1,"f":[],"n":1e999}"#, "number_out_of_range"),
            (r#"{"t":1,"n":[],"f":[]}"#, "1: - - bad_field 0"),
            (r#"{"t":1,"n":[],"f":0}"#, "1: '0' - bad_field 1"),
            (r#"{"t":1,"n":3}"#, "1: - 3.0"),
        ],
    );
}
