//! The merge law, held by every aggregate.

use super::*;
use crate::pool::{Limits, Need, PIECE_WORDS_MAX, Pool};
use proptest::prelude::*;

fn layout() -> Layout {
    let of = |kind, path: Option<&str>| Aggregate { name: "x".into(), kind, path: path.map(Into::into) };
    Layout::new(&[
        of(AggregateKind::Count, None),
        of(AggregateKind::Count, Some("f")),
        of(AggregateKind::Sum, Some("f")),
        of(AggregateKind::Min, Some("f")),
        of(AggregateKind::Max, Some("f")),
        of(AggregateKind::Mean, Some("f")),
        of(AggregateKind::First, Some("f")),
        of(AggregateKind::Last, Some("f")),
    ])
}

#[derive(Clone, Debug)]
struct Input {
    time_ms: i64,
    offset: i64,
    number: Option<i32>,
}

struct Row {
    words: Vec<u64>,
    texts: Arena,
}

fn identity(layout: &Layout) -> Row {
    let mut texts = Arena::default();
    texts.ensure(&mut Pool::new(Limits::UNBOUNDED).hot(), PIECE_WORDS_MAX, Need::Merge).unwrap();
    Row { words: layout.identity().to_vec(), texts }
}

fn add(layout: &Layout, row: &mut Row, input: &Input) {
    let text = input.number.map(|number| format!("\"{}\"", "x".repeat(number.unsigned_abs() as usize % 70)));
    let at = At { time_ms: input.time_ms, offset: input.offset };
    layout.add(&mut row.words, &mut row.texts, at, |index| match (index, &input.number, &text) {
        (0, _, _) => Value::Missing,
        (1, Some(_), _) => Value::Present,
        (6 | 7, _, Some(text)) => Value::Scalar(text.as_bytes()),
        (_, Some(number), _) => Value::Number(f64::from(*number)),
        _ => Value::Missing,
    });
}

fn all(layout: &Layout, inputs: &[Input]) -> Row {
    let mut row = identity(layout);
    inputs.iter().for_each(|input| add(layout, &mut row, input));
    row
}

fn merged(layout: &Layout, a: &Row, b: &Row) -> Row {
    let mut row = identity(layout);
    layout.merge(&mut row.words, &mut row.texts, &a.words, &a.texts);
    layout.merge(&mut row.words, &mut row.texts, &b.words, &b.texts);
    row
}

fn shown(layout: &Layout, row: &Row) -> Vec<String> {
    (0..layout.len())
        .map(|index| {
            let mut out = Vec::new();
            layout.write(index, &row.words, &row.texts, &mut out);
            String::from_utf8(out).unwrap()
        })
        .collect()
}

fn inputs() -> impl Strategy<Value = Vec<Input>> {
    proptest::collection::vec((0..20_i64, proptest::option::of(-1_000_000..1_000_000_i32)), 0..30).prop_map(|list| {
        list.into_iter()
            .enumerate()
            .map(|(offset, (time_ms, number))| Input { time_ms, offset: offset as i64, number })
            .collect()
    })
}

proptest! {
    #[test]
    fn merging_parts_is_adding_all(inputs in inputs(), cut_a in 0..30_usize, cut_b in 0..30_usize) {
        let layout = layout();
        let (a, b) = (cut_a.min(inputs.len()), cut_b.min(inputs.len()));
        let (a, b) = (a.min(b), a.max(b));
        let parts = [&inputs[..a], &inputs[a..b], &inputs[b..]].map(|part| all(&layout, part));
        let whole = shown(&layout, &all(&layout, &inputs));
        let left = merged(&layout, &merged(&layout, &parts[0], &parts[1]), &parts[2]);
        let right = merged(&layout, &parts[0], &merged(&layout, &parts[1], &parts[2]));
        prop_assert_eq!(&shown(&layout, &left), &whole);
        prop_assert_eq!(&shown(&layout, &right), &whole);
    }

    #[test]
    fn the_identity_changes_nothing(inputs in inputs()) {
        let layout = layout();
        let row = all(&layout, &inputs);
        prop_assert_eq!(shown(&layout, &merged(&layout, &identity(&layout), &row)), shown(&layout, &row));
        prop_assert_eq!(shown(&layout, &merged(&layout, &row, &identity(&layout))), shown(&layout, &row));
    }

    #[test]
    fn merging_does_not_ask_for_an_order(inputs in inputs(), cut in 0..30_usize) {
        let layout = layout();
        let (a, b) = inputs.split_at(cut.min(inputs.len()));
        let (a, b) = (all(&layout, a), all(&layout, b));
        prop_assert_eq!(shown(&layout, &merged(&layout, &a, &b)), shown(&layout, &merged(&layout, &b, &a)));
    }

    #[test]
    fn sums_of_doubles_merge_within_the_compensated_error(
        numbers in proptest::collection::vec(-1e15..1e15_f64, 0..40),
        cut in 0..40_usize,
    ) {
        let sum_of = |numbers: &[f64]| {
            let mut words = sum::IDENTITY;
            numbers.iter().for_each(|number| sum::add(&mut words, *number));
            words
        };
        let (a, b) = numbers.split_at(cut.min(numbers.len()));
        let mut parts = sum_of(a);
        sum::merge(&mut parts, &sum_of(b));
        let (parts, whole) = (sum::total(&parts).unwrap(), sum::total(&sum_of(&numbers)).unwrap());
        let scale: f64 = numbers.iter().map(|number| number.abs()).sum();
        prop_assert!((parts - whole).abs() <= 4.0 * f64::EPSILON * whole.abs() + scale * 1e-28, "{parts} {whole}");
    }

    #[test]
    fn a_double_reads_back_the_same(bits in any::<u64>()) {
        let number = f64::from_bits(bits);
        prop_assume!(number.is_finite());
        let mut out = Vec::new();
        write_double(number, &mut out);
        let back: f64 = std::str::from_utf8(&out).unwrap().parse().unwrap();
        prop_assert_eq!(back, number);
    }
}

#[test]
fn doubles_print_as_the_shortest_text() {
    let table = [
        (0.0, "0"),
        (-0.0, "0"),
        (-1.0, "-1"),
        (0.1, "0.1"),
        (1e15, "1000000000000000"),
        (9_007_199_254_740_991.0, "9007199254740991"),
        (9_007_199_254_740_992.0, "9007199254740992"),
        (1e300, "1e300"),
        (-2.5e-7, "-2.5e-7"),
    ];
    for (number, text) in table {
        let mut out = Vec::new();
        write_double(number, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), text);
    }
}

#[test]
fn compensation_keeps_what_a_plain_sum_loses() {
    let mut words = sum::IDENTITY;
    for number in [1.0, 1e100, 1.0, -1e100] {
        sum::add(&mut words, number);
    }
    assert_eq!(sum::total(&words), Some(2.0));
}

#[test]
fn a_sum_that_was_not_finite_on_the_way_is_null() {
    for numbers in [&[1e308, 1e308, -1e308][..], &[1e308, 1e308, -1e308, -1e308]] {
        let mut words = sum::IDENTITY;
        numbers.iter().for_each(|number| sum::add(&mut words, *number));
        let mut out = Vec::new();
        assert!(!sum::write(&words, &mut out));
        assert_eq!(out, NULL);
    }
}
