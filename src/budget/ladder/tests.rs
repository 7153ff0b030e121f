//! The ladder's steps: entered by marks, left with hysteresis, never by warming up.

use super::*;
use crate::pool::Limits;

const MIB: usize = 1 << 20;
/// 90 MiB for everybody and a reserve of 10: a mebibyte is a point.
const LIMITS: Limits = Limits { ceiling_bytes: 100 * MIB, reserve_bytes: 10 * MIB };

fn ladder() -> Ladder {
    Ladder::new(Pool::new(LIMITS), Some(200 << 20))
}

fn reading(lent_mib: usize, missed_permille: u64) -> Reading {
    Reading {
        limits: LIMITS,
        lent_bytes: lent_mib * MIB,
        missed_permille,
        was_full: false,
        budget_bytes: 200 << 20,
        resident_bytes: 150 << 20,
    }
}

/// Judges readings that are `every` apart, and says the step after each.
fn steps(ladder: &Ladder, every: Duration, readings: impl IntoIterator<Item = Reading>) -> Vec<u8> {
    let mut watch = ladder.0.watch.lock().unwrap();
    let judged = (1u32..).zip(readings).map(|(count, reading)| ladder.judge(&mut watch, &reading, every * count));
    judged.map(|step| step as u8).collect()
}

#[test]
fn a_step_is_entered_at_its_mark_and_left_five_points_below_after_a_second_of_calm() {
    let used = [0, 80, 81, 79, 76, 75, 90, 91, 95, 96, 100, 91, 90, 89, 89, 86, 84, 84, 76, 74, 74, 74, 0];
    let expected = [0, 0, 1, 1, 1, 1, 1, 2, 2, 3, 3, 3, 3, 3, 2, 2, 2, 1, 1, 1, 0, 0, 0];
    let found = steps(&ladder(), Duration::from_secs(1), used.map(|used| reading(used, 0)));
    assert_eq!(found, expected, "{used:?}");
}

#[test]
fn a_window_that_closes_and_fills_again_does_not_make_it_swing() {
    let ladder = ladder();
    let saw = (0..1000).map(|look| reading(if look % 9 == 8 { 92 } else { 40 }, 0));
    let found = steps(&ladder, Duration::from_millis(100), saw);
    assert_eq!(found.iter().filter(|step| **step == 2).count(), 1000 - 8, "{found:?}");
    assert_eq!(ladder.entered(Step::Reserve), 1);
}

#[test]
fn a_jump_is_one_change_and_the_way_back_goes_step_by_step() {
    let ladder = ladder();
    let found =
        steps(&ladder, Duration::from_millis(500), [99, 10, 10, 10, 10, 10, 10, 10].map(|used| reading(used, 0)));
    assert_eq!(found, [3, 3, 3, 2, 2, 1, 1, 0]);
    assert_eq!(Step::ALL.map(|step| ladder.entered(step)), [1, 1, 1, 1]);
}

#[test]
fn misses_are_pressure_only_where_more_than_half_is_in_use() {
    for (used, missed, expected) in [(10, 1000, 0), (50, 1000, 0), (51, 50, 0), (51, 51, 1), (51, 1000, 1)] {
        let found = steps(&ladder(), CALM, [reading(used, missed)]);
        assert_eq!(found, [expected], "{used} % in use, {missed} of 1000 missed");
    }
    let calm_down = [reading(60, 60), reading(60, 26), reading(60, 26), reading(60, 25), reading(60, 25)];
    assert_eq!(steps(&ladder(), CALM, calm_down), [1, 1, 1, 1, 0]);
}

#[test]
fn a_record_without_room_is_step_three_even_below_its_mark() {
    let full = Reading { was_full: true, ..reading(94, 0) };
    let found =
        steps(&ladder(), CALM, [full, reading(94, 0), reading(94, 0), reading(94, 0), reading(80, 0), reading(80, 0)]);
    assert_eq!(found, [3, 3, 3, 3, 3, 2], "who waits for room must not be told that there is some");
}

#[test]
fn a_process_larger_than_its_budget_is_step_one_and_never_more() {
    let large = |mib: u64| Reading { resident_bytes: mib << 20, ..reading(10, 0) };
    let found =
        steps(&ladder(), CALM, [large(200), large(201), large(5000), large(191), large(191), large(189), large(189)]);
    assert_eq!(found, [0, 1, 1, 1, 1, 1, 0]);
}

#[test]
fn without_a_reserve_and_without_a_ceiling_nothing_is_ever_pressure() {
    let none = Reading { limits: Limits::UNBOUNDED, ..reading(5000, 1000) };
    assert_eq!(steps(&ladder(), CALM, [none]), [0]);
    let nothing = Reading { limits: Limits { ceiling_bytes: 0, reserve_bytes: 0 }, ..reading(0, 0) };
    assert_eq!(steps(&ladder(), CALM, [nothing]), [0]);
}

#[test]
fn a_look_reads_the_pool_and_comes_at_most_ten_times_a_second() {
    use crate::pool::{Class, Need};
    let pool = Pool::new(Limits { ceiling_bytes: 10 * Class::LARGEST.bytes(), reserve_bytes: 0 });
    let ladder = Ladder::new(pool.clone(), None);
    let mut hot = pool.hot();
    let at = Duration::from_secs(5);
    assert_eq!(ladder.look(at), Step::Normal);
    let leases: Vec<_> = (0..9).map(|_| hot.acquire(Class::LARGEST, Need::Merge).unwrap()).collect();
    assert_eq!(ladder.look(at + LOOK_EVERY / 2), Step::Normal);
    assert_eq!(ladder.look(at + LOOK_EVERY), Step::SharedViews);
    assert_eq!(ladder.step(), Step::SharedViews);
    ladder.say_full();
    assert_eq!(ladder.look(at + 2 * LOOK_EVERY), Step::BackPressure);
    drop(leases);
}
