//! The parts that lanes share, in every order that three preemptions can make of them. See tests/pool.

use super::*;
use loom::thread;

/// Every schedule with at most three preemptions.
fn model(test: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(test);
}

fn pool(buffers: usize) -> Pool {
    Pool::new(Limits { ceiling_bytes: buffers * 4096, reserve_bytes: 0 })
}

fn settle(pool: &Pool) {
    let counts = pool.counts().classes[0];
    assert_eq!(pool.all_home(), Ok(()));
    assert_eq!(pool.held_bytes(), counts.parked.iter().sum::<usize>() * 4096, "held is lent or parked");
    assert_eq!((pool.lent_bytes(), counts.lent), (0, 0));
}

#[test]
fn two_lanes_never_pass_the_ceiling_and_one_of_them_gets_the_last_buffer() {
    model(|| {
        let pool = pool(1);
        let mut lanes = [pool.hot(), pool.hot()];
        let [one, other] = lanes.each_mut();
        let held = {
            let mut hot = std::mem::replace(other, pool.hot());
            let thread = thread::spawn(move || hot.acquire(Class::SMALLEST, Need::Merge).ok());
            let mine = one.acquire(Class::SMALLEST, Need::Merge).ok();
            assert!(pool.held_bytes() <= 4096);
            [mine, thread.join().unwrap()]
        };
        assert_eq!(held.iter().flatten().count(), 1);
        drop(held);
        drop(lanes);
        settle(&pool);
    });
}

#[test]
fn a_lease_that_is_dropped_while_another_lane_asks_is_neither_lost_nor_lent_twice() {
    model(|| {
        let pool = pool(21);
        let mut hot = pool.hot();
        let mut leases = [0, 1].map(|_| hot.acquire(Class::SMALLEST, Need::Merge).ok());
        leases[0].take();
        let thread = thread::spawn(move || drop(leases));
        let lease = hot.acquire(Class::SMALLEST, Need::Merge).unwrap();
        thread.join().unwrap();
        assert_eq!(pool.lent_bytes(), 4096);
        drop(lease);
        drop(hot);
        settle(&pool);
    });
}

#[test]
fn a_trim_and_a_release_at_once_keep_the_books() {
    model(|| {
        let pool = pool(21);
        let mut hot = pool.hot();
        let leases = [0, 1].map(|_| hot.acquire(Class::SMALLEST, Need::Merge).unwrap());
        let [one, other] = leases;
        drop(one);
        let thread = thread::spawn(move || drop(other));
        (0..3).for_each(|_| hot.end_tide());
        thread.join().unwrap();
        drop(hot);
        settle(&pool);
    });
}
