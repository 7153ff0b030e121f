//! A bounded queue for many producers and many consumers, without locks (after Dmitry Vyukov). Never waits and never grows.

use super::sync::{AtomicUsize, Ordering, UnsafeCell, spin};
use std::mem::MaybeUninit;

/// First in, first out; a full queue hands the value back.
pub(super) struct Queue<T> {
    cells: Box<[Cell<T>]>,
    head: Padded,
    tail: Padded,
}

/// On a cache line pair of its own: producers and consumers do not disturb each other.
#[repr(align(128))]
struct Padded(AtomicUsize);

struct Cell<T> {
    /// Whose turn it is: the position that may be written, or that position plus one once it may be read.
    turn: AtomicUsize,
    value: UnsafeCell<MaybeUninit<T>>,
}

// SAFETY: a value is moved in by one thread and out by one other; `turn` hands it over (release, acquire).
unsafe impl<T: Send> Send for Queue<T> {}
// SAFETY: as above; nobody gets a reference into a cell.
unsafe impl<T: Send> Sync for Queue<T> {}

impl<T> Queue<T> {
    /// An empty queue of at least `capacity` values: the next power of two, 2 at least.
    pub(super) fn new(capacity: usize) -> Self {
        let capacity = capacity.max(2).next_power_of_two();
        let cell = |turn| Cell { turn: AtomicUsize::new(turn), value: UnsafeCell::new(MaybeUninit::uninit()) };
        let position = || Padded(AtomicUsize::new(0));
        Self { cells: (0..capacity).map(cell).collect(), head: position(), tail: position() }
    }

    fn cell(&self, position: usize) -> &Cell<T> {
        &self.cells[position & (self.cells.len() - 1)]
    }

    /// Appends a value.
    ///
    /// # Errors
    /// The value, when the queue is full, or a consumer has not left the last cell yet.
    pub(super) fn push(&self, value: T) -> Result<(), T> {
        let mut position = self.tail.0.load(Ordering::Relaxed);
        loop {
            let cell = self.cell(position);
            let ahead = cell.turn.load(Ordering::Acquire).wrapping_sub(position) as isize;
            if ahead < 0 {
                return Err(value);
            }
            if ahead == 0 {
                match self.advance(&self.tail, position) {
                    Ok(()) => {
                        // SAFETY: this thread alone won this position, and no reader comes before the turn says so.
                        cell.value.with_mut(|slot| unsafe { (*slot).write(value) });
                        cell.turn.store(position.wrapping_add(1), Ordering::Release);
                        return Ok(());
                    }
                    Err(now) => position = now,
                }
            } else {
                spin();
                position = self.tail.0.load(Ordering::Relaxed);
            }
        }
    }

    /// The oldest value; `None` when the queue is empty, or a producer has not left the first cell yet.
    pub(super) fn pop(&self) -> Option<T> {
        let mut position = self.head.0.load(Ordering::Relaxed);
        loop {
            let cell = self.cell(position);
            let ahead = cell.turn.load(Ordering::Acquire).wrapping_sub(position.wrapping_add(1)) as isize;
            if ahead < 0 {
                return None;
            }
            if ahead == 0 {
                match self.advance(&self.head, position) {
                    Ok(()) => {
                        // SAFETY: the turn says that it was written, and this thread alone won this position.
                        let value = cell.value.with_mut(|slot| unsafe { (*slot).assume_init_read() });
                        cell.turn.store(position.wrapping_add(self.cells.len()), Ordering::Release);
                        return Some(value);
                    }
                    Err(now) => position = now,
                }
            } else {
                spin();
                position = self.head.0.load(Ordering::Relaxed);
            }
        }
    }

    fn advance(&self, end: &Padded, position: usize) -> Result<(), usize> {
        let next = position.wrapping_add(1);
        end.0.compare_exchange_weak(position, next, Ordering::Relaxed, Ordering::Relaxed).map(drop)
    }
}

impl<T> Drop for Queue<T> {
    fn drop(&mut self) {
        while self.pop().is_some() {}
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn what_goes_in_first_comes_out_first_and_no_more_fits_than_was_said() {
        let queue = Queue::new(4);
        for round in 0..5 {
            for i in 0..4 {
                assert_eq!(queue.push(Box::new(round * 4 + i)), Ok(()));
            }
            assert_eq!(queue.push(Box::new(99)), Err(Box::new(99)));
            for i in 0..4 {
                assert_eq!(queue.pop(), Some(Box::new(round * 4 + i)));
            }
            assert_eq!(queue.pop(), None);
        }
        assert_eq!(queue.push(Box::new(0)), Ok(()));
    }
}

#[cfg(all(test, loom))]
mod tests {
    use super::*;
    use loom::{sync::Arc, thread};

    #[test]
    fn nothing_is_lost_and_nothing_comes_twice() {
        loom::model(|| {
            let queue = Arc::new(Queue::new(2));
            let producers = [1, 2].map(|value| {
                let queue = queue.clone();
                thread::spawn(move || queue.push(Box::new(value)).is_ok())
            });
            let mut found: Vec<_> = queue.pop().into_iter().collect();
            let pushed = producers.map(|producer| producer.join().unwrap());
            assert_eq!(pushed, [true, true], "there was room for both");
            found.extend(std::iter::from_fn(|| queue.pop()));
            found.sort();
            assert_eq!(found, [Box::new(1), Box::new(2)]);
        });
    }

    #[test]
    fn a_cell_is_used_again_only_after_it_was_read() {
        loom::model(|| {
            let queue = Arc::new(Queue::new(2));
            queue.push(Box::new(0)).unwrap();
            queue.push(Box::new(1)).unwrap();
            let other = queue.clone();
            let producer = thread::spawn(move || other.push(Box::new(2)).is_ok());
            let mut found: Vec<_> = queue.pop().into_iter().map(|value| *value).collect();
            let pushed = producer.join().unwrap();
            found.extend(std::iter::from_fn(|| queue.pop()).map(|value| *value));
            assert_eq!(found, if pushed { vec![0, 1, 2] } else { vec![0, 1] });
        });
    }
}
