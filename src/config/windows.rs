//! `window` held against itself: lengths that fit each other, and no more panes than a close can merge.

use super::complaint::Complaints;
use super::read::OrOff;
use super::relations::{SPAN_MS_MAX, within};
use super::values::Then;
use super::written;
use super::{Idle, Window};

/// Panes of one window: its close merges them all, for each key.
const PANES_MAX: i64 = 50_000;

/// The checked window, or `None` after complaints.
pub(super) fn check(window: written::Window, out: &mut Complaints) -> Option<Window> {
    let lengths = match (&window.tumbling, window.hopping) {
        (Some(size), None) => within(size, "window.tumbling", 1, SPAN_MS_MAX, out).map(|size| (size, size)),
        (None, Some(hopping)) => check_hopping(hopping.value, out),
        _ => None,
    };
    let offset_ms = window.offset.as_ref().and_then(|at| within(at, "window.offset", 0, SPAN_MS_MAX, out));
    if let (Some(at), Some(offset), Some((_, every))) = (&window.offset, offset_ms, lengths)
        && offset >= every
    {
        out.error(at.span, "`window.offset` is as long as the distance between two windows, or longer")
            .help("take that distance off until it is shorter: the windows stay the same");
    }
    let grace_ms = window.grace.as_ref().and_then(|at| within(at, "window.grace", 0, SPAN_MS_MAX, out));
    if let (Some(at), Some(0)) = (&window.grace, grace_ms) {
        out.warning(at.span, "no grace: a record that comes after a newer one has ended its window is late");
    }
    let idle = window.idle.and_then(|idle| match idle.value {
        OrOff::Off => {
            out.warning(idle.span, "`window.idle` is off: the last windows of a silent partition stay open");
            Some(Idle::Off)
        }
        OrOff::On(value) => {
            let after_ms = within(&value.after?, "window.idle.after", 1, SPAN_MS_MAX, out)?;
            Some(match value.then?.value {
                Then::Advance => Idle::Advance { after_ms },
                Then::Close => Idle::Close { after_ms },
            })
        }
    });
    let (size_ms, every_ms) = lengths?;
    Some(Window { size_ms, every_ms, offset_ms: offset_ms?, grace_ms: grace_ms?, idle: idle? })
}

/// Size and distance in ms.
fn check_hopping(hopping: written::Hopping, out: &mut Complaints) -> Option<(i64, i64)> {
    let size = hopping.size.as_ref().and_then(|at| within(at, "window.hopping.size", 1, SPAN_MS_MAX, out));
    let every_ms = hopping.every.as_ref().and_then(|at| within(at, "window.hopping.every", 1, SPAN_MS_MAX, out));
    let (size_ms, every_ms, every) = (size?, every_ms?, hopping.every?);
    if every_ms > size_ms {
        out.error(every.span, "`window.hopping.every` is longer than `size`: times between two windows would be lost")
            .help("make `every` at most as long as `size`");
        return None;
    }
    let window = Window { size_ms, every_ms, offset_ms: 0, grace_ms: 0, idle: Idle::Off };
    if size_ms / window.pane_ms() > PANES_MAX {
        out.error(every.span, format!("a window of this `size` and `every` is made of more than {PANES_MAX} panes"))
            .help("a pane is as long as their greatest common divisor: make `every` a longer divisor of `size`");
        return None;
    }
    Some((size_ms, every_ms))
}
