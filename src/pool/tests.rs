//! The pool against a naive model, its promises one by one, and lanes on threads. Runs under Miri too, with fewer steps.

use super::range::Slot;
use super::*;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
const STEPS: u64 = if cfg!(miri) { 100 } else { 4000 };
/// Miri is slow by the byte.
const CLASSES_USED: usize = if cfg!(miri) { 2 } else { CLASSES };

/// A small generator (xorshift) with a seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % bound
    }
}

/// Runs `test` with so many seeds, or with the one in `TIDEMILL_SEED`.
fn with_seeds(count: u64, test: impl Fn(Chance)) {
    let given = std::env::var("TIDEMILL_SEED").ok().and_then(|seed| seed.parse().ok());
    for seed in given.map_or(1..count + 1, |seed| seed..seed + 1) {
        println!("TIDEMILL_SEED={seed}");
        test(Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1));
    }
}

fn pool(ceiling_bytes: usize, reserve_bytes: usize) -> Pool {
    Pool::new(Limits { ceiling_bytes, reserve_bytes })
}

fn class(kib: usize) -> Class {
    Class::holding(kib * KIB).unwrap()
}

/// Writes its number where another buffer's would show.
fn mark(lease: &mut Lease, number: u64) {
    let words = lease.words_mut();
    let step = words.len() / 7;
    words.iter_mut().step_by(step).for_each(|word| *word = number);
    *words.last_mut().unwrap() = number;
}

fn marked(lease: &Lease, number: u64) -> bool {
    let words = lease.words();
    words.iter().step_by(words.len() / 7).chain(words.last()).all(|&word| word == number)
}

#[test]
fn any_order_of_use_keeps_the_ceiling_and_loses_nothing() {
    let seeds = if cfg!(miri) { 2 } else { 25 };
    with_seeds(seeds, |mut chance| {
        let pages = [64, 300, 1500, 4000][chance.below(4)];
        let limits = Limits { ceiling_bytes: pages * 4096, reserve_bytes: chance.below(pages / 2) * 4096 };
        let pool = Pool::new(limits);
        let mut hots: Vec<_> = (0..1 + chance.below(4)).map(|_| pool.hot()).collect();
        let mut lent: BTreeMap<u64, Lease> = BTreeMap::new();
        let mut refused = 0;
        for number in 0..STEPS {
            let lane = chance.below(hots.len());
            let lent_bytes: usize = lent.values().map(|lease| lease.class().bytes()).sum();
            let any = chance.below(lent.len().max(1));
            let some = lent.keys().nth(any).copied();
            // Phases of growth and of release, so that both ends are reached.
            let grows = if (number / 200) % 2 == 0 { 60 } else { 25 };
            match chance.below(100) {
                roll if roll < grows => {
                    let class = Class::ALL[chance.below(CLASSES_USED).min(chance.below(CLASSES_USED))];
                    let need = [Need::Merge, Need::Finish][chance.below(2)];
                    let allowed = limits.allowed_bytes(need);
                    let others: usize =
                        (0..).zip(&hots).filter(|(i, _)| *i != lane).map(|(_, hot)| hot.parked_bytes).sum();
                    match hots[lane].acquire(class, need) {
                        Ok(mut lease) => {
                            assert!(pool.held_bytes() <= allowed, "{class}, {need:?}");
                            assert_eq!(lease.bytes().len(), class.bytes());
                            mark(&mut lease, number);
                            lent.insert(number, lease);
                        }
                        Err(Full) => {
                            refused += 1;
                            assert!(lent_bytes + others + class.bytes() > allowed, "there was room for {class}");
                        }
                    }
                }
                0..94 => {
                    let Some((number, lease)) = some.and_then(|some| lent.remove_entry(&some)) else { continue };
                    assert!(marked(&lease, number), "somebody else wrote into {number}");
                    if chance.below(4) == 0 { drop(lease) } else { hots[lane].release(lease) }
                }
                94 | 95 => hots[lane].maintain(),
                96 | 97 => hots[lane].end_tide(),
                98 => hots[lane] = pool.hot(),
                _ => assert!(pool.empty_cold() <= limits.ceiling_bytes),
            }
            assert!(pool.held_bytes() <= limits.ceiling_bytes);
            let counts = pool.counts();
            for class in Class::ALL {
                let away = lent.values().filter(|lease| lease.class() == class).count();
                assert_eq!(counts.classes[class.index()].lent, away, "{class}");
            }
            let bytes = |(class, count): (Class, &ClassCounts)| {
                (count.lent + count.parked.iter().sum::<usize>()) * class.bytes()
            };
            assert_eq!(Class::ALL.into_iter().zip(&counts.classes).map(bytes).sum::<usize>(), pool.held_bytes());
            assert_eq!(pool.room_bytes(Need::Finish), limits.ceiling_bytes - pool.lent_bytes());
            let shares = PoolOptions::new(limits).shares;
            for (tier, share) in [(0, shares.hot), (1, shares.warm), (2, shares.cold)] {
                let parked = Class::ALL.map(|class| counts.classes[class.index()].parked[tier] * class.bytes());
                // A lane that has just come shortens the others' share: they notice when they release the next time.
                let most = if tier == 0 { limits.ceiling_bytes } else { shares.of(limits.ceiling_bytes, share) };
                assert!(parked.iter().sum::<usize>() <= most, "tier {tier}");
            }
        }
        assert!(refused > 0 || cfg!(miri) || pages > 1500, "the ceiling was never met");
        assert!(lent.iter().all(|(&number, lease)| marked(lease, number)));
        assert_eq!(pool.all_home().is_ok(), lent.is_empty());
        lent.clear();
        assert_eq!(pool.all_home(), Ok(()));
        for _ in 0..10 * hots.len() {
            hots.iter_mut().for_each(Hot::maintain);
        }
        assert_eq!(pool.held_bytes(), 0, "who is idle holds nothing");
    });
}

#[test]
fn a_lane_gets_back_what_it_released_last() {
    let mut hot = pool(MIB, 0).hot();
    let leases = [0, 1].map(|_| hot.acquire(class(4), Need::Merge).unwrap());
    let addresses = leases.each_ref().map(|lease| lease.words().as_ptr());
    leases.into_iter().for_each(|lease| hot.release(lease));
    let again = [0, 1].map(|_| hot.acquire(class(4), Need::Merge).unwrap());
    assert_eq!(again.each_ref().map(|lease| lease.words().as_ptr()), [addresses[1], addresses[0]]);
    let counts = hot.pool().counts();
    assert_eq!((counts.acquired(), counts.misses(), counts.classes[0].hits), (4, 2, [2, 0, 0]));
}

#[test]
fn a_buffer_that_is_dropped_elsewhere_reaches_the_next_lane_through_the_warm_tier() {
    let pool = pool(MIB, 0);
    let (mut one, mut other) = (pool.hot(), pool.hot());
    let leases: Vec<_> = (0..5).map(|_| one.acquire(class(4), Need::Merge).unwrap()).collect();
    thread::spawn(|| drop(leases)).join().unwrap();
    assert_eq!(pool.counts().classes[0].parked, [0, 5, 0]);
    let lease = other.acquire(class(4), Need::Merge).unwrap();
    let counts = pool.counts().classes[0];
    assert_eq!((counts.hits, counts.misses, counts.promoted), ([0, 1, 0], 5, [0, 5, 0]));
    assert_eq!((counts.parked, counts.lent), ([4, 0, 0], 1), "they come in magazines");
    drop((one, other));
    assert_eq!(pool.all_home(), Err("buffers still lent: 1 of 4 KiB".to_owned()));
    drop(lease);
    assert_eq!(pool.all_home(), Ok(()));
}

/// Buffers of 64 KiB, of which 8 are used in every round and `burst` were used once.
fn rounds_until_the_burst_is_gone(burst: usize, round: impl Fn(&mut Hot)) -> usize {
    let mut hot = pool(64 * MIB, 0).hot();
    let use_some = |hot: &mut Hot, count: usize| {
        let leases: Vec<_> = (0..count).map(|_| hot.acquire(class(64), Need::Merge).unwrap()).collect();
        leases.into_iter().for_each(|lease| hot.release(lease));
    };
    use_some(&mut hot, burst);
    for rounds in 0.. {
        if hot.pool().held_bytes() <= 8 * 64 * KIB {
            return rounds;
        }
        assert!(rounds < 20, "{} bytes are still held", hot.pool().held_bytes());
        use_some(&mut hot, 8);
        round(&mut hot);
    }
    unreachable!()
}

#[test]
fn after_a_burst_memory_goes_back_within_a_minute_and_what_is_used_stays() {
    // At five seconds each, and sooner with tides.
    let burst = if cfg!(miri) { 40 } else { 700 };
    let alone = rounds_until_the_burst_is_gone(burst, Hot::maintain);
    assert!((2..=8).contains(&alone), "{alone} maintenances");
    let tides = rounds_until_the_burst_is_gone(burst, |hot| {
        (0..5).for_each(|_| hot.end_tide());
        hot.maintain();
    });
    assert!((2..=4).contains(&tides), "{tides} maintenances with five tides each");
}

#[test]
fn what_lanes_exchange_again_and_again_does_not_keep_the_rest_of_the_warm_tier_there() {
    // Hardly anything stays with the lane; what goes round is taken from the warm tier more often than it is trimmed.
    let (shares, trim) = (Shares { hot: 1, warm: 20, cold: 1 }, Trim { warm_every: 3, cold_every: 1 });
    let pool = Pool::with(PoolOptions { limits: Limits { ceiling_bytes: 64 * MIB, reserve_bytes: 0 }, shares, trim });
    let mut hot = pool.hot();
    for round in 0..20 {
        let leases: Vec<_> =
            (0..if round == 0 { 800 } else { 200 }).map(|_| hot.acquire(class(64), Need::Merge).unwrap()).collect();
        leases.into_iter().for_each(|lease| hot.release(lease));
        hot.end_tide();
    }
    let held = pool.held_bytes() / (64 * KIB);
    assert!((200..=240).contains(&held), "{held} buffers are held");
}

#[test]
fn what_is_in_use_is_not_trimmed() {
    let mut hot = pool(64 * MIB, 0).hot();
    for _ in 0..30 {
        let leases: Vec<_> = (0..10).map(|_| hot.acquire(class(64), Need::Merge).unwrap()).collect();
        leases.into_iter().for_each(|lease| hot.release(lease));
        hot.end_tide();
        hot.maintain();
    }
    let counts = hot.pool().counts();
    assert_eq!((counts.misses(), counts.classes[class(64).index()].trimmed), (10, 0));
}

#[test]
fn buffers_of_other_classes_make_room_before_the_pool_is_full() {
    let pool = pool(8 * MIB, 0);
    let mut hot = pool.hot();
    let small: Vec<_> = (0..512).map(|_| hot.acquire(class(16), Need::Merge).unwrap()).collect();
    assert_eq!(hot.acquire(Class::SMALLEST, Need::Finish).unwrap_err(), Full);
    for (i, lease) in small.into_iter().enumerate() {
        if i % 2 == 0 { hot.release(lease) } else { drop(lease) }
    }
    let large = [0, 1].map(|_| hot.acquire(Class::LARGEST, Need::Merge));
    assert!(large.iter().all(Result::is_ok));
    assert_eq!((pool.held_bytes(), pool.room_bytes(Need::Merge)), (8 * MIB, 0));
}

#[test]
fn a_lane_lets_go_when_another_one_found_no_room() {
    let pool = pool(MIB, 0);
    let (mut rich, mut poor) = (pool.hot(), pool.hot());
    let leases: Vec<_> = (0..16).map(|_| rich.acquire(class(64), Need::Merge).unwrap()).collect();
    leases.into_iter().for_each(|lease| rich.release(lease));
    pool.empty_cold();
    let needed = class(1024);
    assert_eq!(poor.acquire(needed, Need::Merge).unwrap_err(), Full);
    rich.end_tide();
    assert!(poor.acquire(needed, Need::Merge).is_ok());
    assert_eq!(pool.counts().classes[needed.index()].refused, 1);
}

#[test]
fn the_reserve_is_kept_from_new_state_even_if_it_lies_parked() {
    let pool = pool(8 * 64 * KIB, 4 * 64 * KIB);
    let mut hot = pool.hot();
    let mut acquire = |need| hot.acquire(class(64), need);
    let merged: Vec<_> = (0..6).map(|_| acquire(Need::Merge).unwrap()).collect();
    assert_eq!(acquire(Need::Merge).unwrap_err(), Full);
    let finishing: Vec<_> = (0..2).map(|_| acquire(Need::Finish).unwrap()).collect();
    assert_eq!(acquire(Need::Finish).unwrap_err(), Full);
    finishing.into_iter().for_each(|lease| hot.release(lease));
    assert_eq!(hot.acquire(class(64), Need::Merge).unwrap_err(), Full, "the parked ones are the reserve");
    assert!(hot.acquire(class(64), Need::Finish).is_ok());
    drop(merged);
    assert!(hot.acquire(class(64), Need::Merge).is_ok());
}

#[test]
fn a_buffer_that_was_released_is_scrambled_in_debug_builds() {
    let mut hot = pool(16 * MIB, 0).hot();
    for class in Class::ALL {
        let mut lease = hot.acquire(class, Need::Merge).unwrap();
        mark(&mut lease, 7);
        lease.words_mut()[3] = 7;
        hot.release(lease);
        let lease = hot.acquire(class, Need::Merge).unwrap();
        let words = lease.words();
        let kept = [words[0], words[3], words[words.len() - 1]].contains(&7);
        assert_eq!(kept, !cfg!(debug_assertions), "{class}");
    }
}

#[test]
fn what_was_given_back_is_gone_and_its_addresses_serve_again() {
    let area = area::Area::new(class(16), MIB);
    let read = |slot: &mut Slot| {
        // SAFETY: the area outlives this function.
        let words = unsafe { slot.words_mut() };
        let before = words.to_vec();
        words.fill(7);
        (before.iter().all(|&word| word == 0), words.as_ptr())
    };
    let mut slots: Vec<_> = std::iter::from_fn(|| area.take()).collect();
    assert_eq!((slots.len(), area.held()), (64, 64), "as many as fit, and no more");
    let first: Vec<_> = slots.iter_mut().map(read).collect();
    slots.into_iter().for_each(|slot| area.give_back(slot));
    assert_eq!(area.held(), 0);
    let mut slots: Vec<_> = std::iter::from_fn(|| area.take()).collect();
    let second: Vec<_> = slots.iter_mut().map(read).collect();
    assert!(first.iter().chain(&second).all(|(empty, _)| *empty), "memory given back comes back empty");
    let addresses =
        |reads: &[(bool, *const u64)]| reads.iter().map(|(_, at)| *at).collect::<std::collections::BTreeSet<_>>();
    assert!(cfg!(miri) || addresses(&first) == addresses(&second));
    slots.into_iter().for_each(|slot| area.give_back(slot));
}

#[test]
fn a_magazine_that_finds_the_warm_tier_full_is_handed_back() {
    let (class, count) = (class(256), if cfg!(miri) { 3 } else { 600 });
    let area = area::Area::new(class, count * class.bytes());
    let put = |warm: &warm::Warm| {
        let mut left = Vec::new();
        for _ in 0..count {
            let mut magazine = warm::Magazine::new(class);
            magazine.push(area.take().unwrap());
            left.extend(warm.put(magazine).into_iter().flatten().flat_map(|mut magazine| magazine.pop()));
        }
        assert_eq!(warm.parked(class) * class.bytes(), warm.bytes());
        assert_eq!(warm.parked(class) + left.len(), count);
        let parked = std::iter::from_fn(|| warm.take(class)).flat_map(|mut magazine| magazine.pop());
        let all: Vec<_> = parked.chain(left).collect();
        assert_eq!((all.len(), area.held(), warm.bytes()), (count, count, 0));
        all.into_iter().for_each(|slot| area.give_back(slot));
    };
    put(&warm::Warm::new(2 * class.bytes()));
    put(&warm::Warm::new(usize::MAX));
}

#[test]
fn a_thousand_pools_that_nobody_uses_cost_nothing_and_one_without_limits_works() {
    let pools: Vec<_> = (0..1000).map(|_| Pool::new(Limits::UNBOUNDED)).collect();
    let mut hots: Vec<_> = pools.iter().map(Pool::hot).collect();
    assert!(hots[0].acquire(Class::LARGEST, Need::Merge).is_ok());
    pools[1].reserve_addresses().unwrap();
}

#[test]
fn lanes_on_threads_share_one_ceiling() {
    const LANES: u64 = 3;
    let pool = pool(2 * MIB, 256 * KIB);
    let over = AtomicBool::new(false);
    let refused = AtomicU64::new(0);
    let (away, home) = mpsc::channel::<(Lease, u64)>();
    let home = std::sync::Mutex::new(home);
    thread::scope(|scope| {
        for lane in 1..=LANES {
            let (pool, over, refused, away, home) = (&pool, &over, &refused, away.clone(), &home);
            scope.spawn(move || {
                let (mut hot, mut chance, mut mine) = (pool.hot(), Chance(lane * 7919), Vec::new());
                for step in 0..STEPS * if cfg!(miri) { 1 } else { 5 } {
                    let number = lane << 32 | step;
                    match chance.below(10) {
                        0..4 => match hot.acquire(
                            Class::ALL[chance.below(CLASSES_USED.min(4))],
                            [Need::Merge, Need::Finish][chance.below(2)],
                        ) {
                            Ok(mut lease) => {
                                mark(&mut lease, number);
                                mine.push((lease, number));
                            }
                            Err(Full) => drop(refused.fetch_add(1, Ordering::Relaxed)),
                        },
                        4 if !mine.is_empty() => away.send(mine.swap_remove(0)).unwrap(),
                        5 => {
                            let Ok((lease, number)) = home.lock().unwrap().try_recv() else { continue };
                            assert!(marked(&lease, number));
                            drop(lease);
                        }
                        6 => hot.end_tide(),
                        7 if chance.below(10) == 0 => hot.maintain(),
                        _ if !mine.is_empty() => {
                            let (lease, number) = mine.swap_remove(chance.below(mine.len()));
                            assert!(marked(&lease, number));
                            hot.release(lease);
                        }
                        _ => {}
                    }
                    over.fetch_or(pool.held_bytes() > 2 * MIB, Ordering::Relaxed);
                }
            });
        }
    });
    drop(home);
    assert!(!over.into_inner(), "the ceiling was passed");
    assert!(refused.into_inner() > 0 || cfg!(miri), "the ceiling was never met");
    assert_eq!(pool.all_home(), Ok(()));
    assert_eq!(pool.lent_bytes(), 0);
}
