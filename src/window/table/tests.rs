//! Tables against plain maps.

use super::*;
use crate::config::{Aggregate, AggregateKind};
use crate::pool::{Limits, Pool};
use std::collections::HashMap;

const AT: At = At { time_ms: 0, offset: 0 };

fn layout(kinds: &[AggregateKind]) -> Layout {
    let of = |kind: &AggregateKind| Aggregate { name: "n".into(), kind: *kind, path: Some("v".into()) };
    Layout::new(&kinds.iter().map(of).collect::<Vec<_>>())
}

fn pool(ceiling_bytes: usize) -> Pool {
    Pool::new(Limits { ceiling_bytes, reserve_bytes: 0 })
}

fn counts(table: &Table, layout: &Layout) -> Vec<(Vec<u8>, u64)> {
    table.rows(layout).map(|row| (row.key.to_vec(), row.words[0])).collect()
}

#[test]
fn rows_count_like_a_map_whatever_the_hash_and_keep_their_order() {
    let layout = layout(&[AggregateKind::Count]);
    for constant_code in [false, true] {
        let keys = Keys::new(7, None);
        let mut hot = pool(1 << 30).hot();
        let (mut table, mut map, mut order) = (Table::default(), HashMap::new(), Vec::new());
        let mut source = Source { hot: &mut hot, need: Need::Merge };
        for number in 0..3000_u64 {
            // Lengths on both sides of a word.
            let key = (number * number % 701).to_string().repeat(1 + number as usize % 3).into_bytes();
            let code = if constant_code { 5 } else { keys.code(&key).unwrap() };
            table.add(&mut source, &layout, code, &key, AT, |_| Value::Present).unwrap();
            *map.entry(key.clone()).or_insert(0) += 1;
            if map[&key] == 1 {
                order.push(key);
            }
        }
        let expected: Vec<_> = order.into_iter().map(|key| (key.clone(), map[&key])).collect();
        assert_eq!(counts(&table, &layout), expected);
        assert_eq!(
            table.spot_of(&layout, 2),
            table.first().and_then(|at| table.next(&layout, table.next(&layout, at)?))
        );
    }
}

#[test]
fn a_million_keys_are_found_through_every_growth_of_the_index() {
    let layout = layout(&[AggregateKind::Count]);
    let (keys, mut hot) = (Keys::new(11, None), pool(1 << 30).hot());
    let mut table = Table::default();
    for round in 0..2 {
        let mut source = Source { hot: &mut hot, need: Need::Merge };
        for number in 0..1_000_000_u32 {
            let key = number.to_le_bytes();
            let code = keys.code(&key).unwrap();
            table.add(&mut source, &layout, code, &key, AT, |_| Value::Present).unwrap();
        }
        assert_eq!(table.len(), 1_000_000, "round {round}");
    }
    assert!(table.rows(&layout).all(|row| row.words[0] == 2));
    let fill = table.fill();
    table.release(&mut hot);
    assert_eq!(hot.pool().lent_bytes(), 0);
    table.prepare(&mut Source { hot: &mut hot, need: Need::Merge }, &keys, fill).unwrap();
    let (index_bytes, grown) = (table.bytes(), bytes_for(&layout, 1_000_000, 4, None));
    assert!(index_bytes < grown, "{index_bytes} of {grown}: rows are leased as they come");
}

#[test]
fn declared_keys_are_found_by_their_number() {
    let layout = layout(&[AggregateKind::Count]);
    let declared: Vec<Box<[u8]>> = (0..5000).map(|number| number.to_string().into_bytes().into()).collect();
    let (keys, mut hot) = (Keys::new(7, Some(&declared)), pool(1 << 30).hot());
    let mut table = Table::default();
    let mut source = Source { hot: &mut hot, need: Need::Merge };
    table.prepare(&mut source, &keys, Fill::default()).unwrap();
    for number in [17, 4999, 17, 0] {
        let key = &declared[number];
        table.add(&mut source, &layout, keys.code(key).unwrap(), key, AT, |_| Value::Present).unwrap();
    }
    assert_eq!(counts(&table, &layout), [(b"17".to_vec(), 2), (b"4999".to_vec(), 1), (b"0".to_vec(), 1)]);
    assert_eq!(keys.code(b"5000"), None);
    table.release(&mut hot);
    assert_eq!(hot.pool().all_home(), Ok(()));
}

#[test]
fn a_released_table_has_given_everything_back() {
    let layout = layout(&[AggregateKind::Last]);
    let mut hot = pool(1 << 30).hot();
    let mut table = Table::default();
    for _ in 0..2 {
        let mut source = Source { hot: &mut hot, need: Need::Merge };
        for number in 0..1000_u32 {
            let text = "x".repeat(number as usize % 200);
            let key = (number % 100).to_le_bytes();
            let value = |_| Value::Scalar(text.as_bytes());
            table.add(&mut source, &layout, number % 100, &key, AT, value).unwrap();
        }
        assert_eq!(table.len(), 100);
        table.release(&mut hot);
        assert!(table.is_empty() && table.rows(&layout).next().is_none() && table.bytes() == 0);
        assert_eq!(hot.pool().all_home(), Ok(()));
    }
}

#[test]
fn without_memory_no_row_changes() {
    let layout = layout(&[AggregateKind::Count, AggregateKind::Last]);
    let mut hot = pool(64 << 10).hot();
    let mut table = Table::default();
    let mut source = Source { hot: &mut hot, need: Need::Merge };
    let text = "t".repeat(100);
    let mut refused = 0;
    for number in 0..5000_u32 {
        let before = table.len();
        let added =
            table.add(&mut source, &layout, number, &number.to_le_bytes(), AT, |_| Value::Scalar(text.as_bytes()));
        refused += u32::from(added.is_err());
        assert_eq!(table.len(), before + usize::from(added.is_ok()));
    }
    assert!(refused > 0 && table.len() > 100);
    assert_eq!(counts(&table, &layout).len(), table.len());
    assert!(table.rows(&layout).all(|row| row.words[0] == 1));
}

#[test]
fn merging_tables_adds_rows_of_equal_keys() {
    let layout = layout(&[AggregateKind::Count, AggregateKind::First]);
    let mut hot = pool(1 << 30).hot();
    let mut source = Source { hot: &mut hot, need: Need::Merge };
    let (mut a, mut b) = (Table::default(), Table::default());
    for (table, keys) in [(&mut a, ["x", "y"]), (&mut b, ["y", "z"])] {
        for key in keys {
            let code = u32::from(key.as_bytes()[0]);
            table.add(&mut source, &layout, code, key.as_bytes(), AT, |_| Value::Scalar(b"1")).unwrap();
        }
    }
    a.merge(&mut source, &layout, &b).unwrap();
    assert_eq!(counts(&a, &layout), [(b"x".to_vec(), 1), (b"y".to_vec(), 2), (b"z".to_vec(), 1)]);
    let mut out = Vec::new();
    let row = a.row(&layout, a.spot_of(&layout, 2).unwrap()).unwrap();
    layout.write(1, row.words, row.texts, &mut out);
    assert_eq!(out, b"1");
}

#[test]
fn what_so_many_rows_take_is_known_beforehand() {
    let layout = layout(&[AggregateKind::Count, AggregateKind::Sum]);
    for rows in [1, 10, 100, 1_000, 10_000, 150_000, 1_000_000_u32] {
        let (keys, mut hot) = (Keys::new(3, None), pool(1 << 30).hot());
        let mut table = Table::default();
        let mut fill = Fill::default();
        for _ in 0..2 {
            let mut source = Source { hot: &mut hot, need: Need::Merge };
            table.prepare(&mut source, &keys, fill).unwrap();
            for number in 0..rows {
                let key = format!("{number:08}");
                let code = keys.code(key.as_bytes()).unwrap();
                table.add(&mut source, &layout, code, key.as_bytes(), AT, |_| Value::Number(1.0)).unwrap();
            }
            fill = table.fill();
            let (real, said) = (table.bytes() as f64, bytes_for(&layout, rows as usize, 8, None) as f64);
            assert!((said / real - 1.0).abs() < 0.25, "{rows} rows: {said} said, {real} taken");
            table.release(&mut hot);
        }
    }
}
