//! Where the scalars of one record stand, in order, as the general reader met them: what a shape is learned from.
//! It never looks at a byte.

use super::json::{Found, Kind};

/// Slot of a scalar that nothing reads.
pub(super) const UNREAD: usize = usize::MAX;
/// Most scalars in a record whose shape can be learned.
const SCALARS_MAX: usize = 128;

/// The way of the general reader through one record.
#[derive(Debug)]
pub(super) struct Trail {
    scalars: Vec<Scalar>,
    /// False if what was found depends on more than the order of the scalars.
    plain: bool,
}

/// One string, number, boolean or null.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scalar {
    pub(super) start: u32,
    pub(super) end: u32,
    /// Where it is noted, or [`UNREAD`].
    pub(super) slot: usize,
}

impl Trail {
    pub(super) fn new() -> Self {
        Self { scalars: Vec::with_capacity(SCALARS_MAX), plain: true }
    }

    /// For the next record.
    pub(super) fn begin(&mut self) -> &mut Self {
        self.scalars.clear();
        self.plain = true;
        self
    }

    /// A value was read, which replaces `old`.
    pub(super) fn note(&mut self, slot: Option<usize>, new: Found, old: &[Found]) {
        let container = matches!(new.kind, Kind::Object | Kind::Array);
        // Of a container that is read, its place would have to be noted; of a duplicate, which of them counts.
        let replaces = old.iter().any(|old| old.kind != Kind::Missing);
        let depends = replaces || (container && slot.is_some());
        self.plain &= !depends && self.scalars.len() < SCALARS_MAX;
        if self.plain && !container {
            self.scalars.push(Scalar { start: new.start, end: new.end, slot: slot.unwrap_or(UNREAD) });
        }
    }

    /// The scalars, if their order is all there is to know.
    pub(super) fn scalars(&self) -> Option<&[Scalar]> {
        self.plain.then_some(&self.scalars)
    }
}
