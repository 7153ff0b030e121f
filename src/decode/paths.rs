//! The member names that are read, as a small trie. It never looks at a value.
//!
//! Slots are numbered depth first, so that everything beneath a member is one range: a duplicate clears it at once.

use std::ops::Range;

use super::string;

/// Node of a member that nothing reads: no children, no slots.
pub(super) const UNREAD: usize = 0;
/// Node of the value itself.
pub(super) const ROOT: usize = 1;

/// All paths of one pipeline.
#[derive(Debug)]
pub(super) struct Paths {
    nodes: Vec<Node>,
    /// Path of each slot.
    slots: Vec<String>,
}

#[derive(Debug, Default)]
struct Node {
    children: Vec<(Box<[u8]>, usize)>,
    /// Bit `n` is set if a child's name has `n` bytes (modulo 64): most names are ruled out by one test.
    lengths: u64,
    /// Slot of this very member, if it is read.
    slot: Option<usize>,
    /// Slots of this member and of all beneath it.
    subtree: Range<usize>,
}

impl Paths {
    /// The trie of these paths; the same path may come several times.
    pub(super) fn new<'a>(paths: impl Iterator<Item = &'a str>) -> Self {
        let mut sorted: Vec<Vec<&str>> = paths.map(|path| path.split('.').collect()).collect();
        sorted.sort(); // by member names: a path comes just before those beneath it
        sorted.dedup();
        let mut trie = Self { nodes: vec![Node::default(), Node::default()], slots: Vec::new() };
        for names in sorted {
            trie.insert(&names);
        }
        trie
    }

    fn insert(&mut self, names: &[&str]) {
        let slot = self.slots.len();
        self.slots.push(names.join("."));
        let mut node = ROOT;
        for name in names {
            let mut child = self.child(node, name.as_bytes());
            if child == UNREAD {
                child = self.nodes.len();
                self.nodes.push(Node { subtree: slot..slot, ..Node::default() });
                if let Some(parent) = self.nodes.get_mut(node) {
                    parent.children.push((name.as_bytes().into(), child));
                    parent.lengths |= length_bit(name.len());
                }
            }
            node = child;
            if let Some(node) = self.nodes.get_mut(node) {
                node.subtree.end = slot + 1;
            }
        }
        if let Some(node) = self.nodes.get_mut(node) {
            node.slot = Some(slot);
        }
    }

    /// Number of distinct paths.
    pub(super) fn slots(&self) -> usize {
        self.slots.len()
    }

    /// Slot of a path that the trie was built with.
    pub(super) fn slot(&self, path: &str) -> usize {
        self.slots.iter().position(|other| other == path).unwrap_or(usize::MAX)
    }

    /// Node of the member `name` (without escapes) of the object at `node`.
    #[inline]
    pub(super) fn child(&self, node: usize, name: &[u8]) -> usize {
        let Some(node) = self.nodes.get(node) else { return UNREAD };
        if node.lengths & length_bit(name.len()) == 0 {
            return UNREAD;
        }
        node.children.iter().find(|(other, _)| **other == *name).map_or(UNREAD, |&(_, child)| child)
    }

    /// The same for a name with escapes in it.
    pub(super) fn child_escaped(&self, node: usize, name: &[u8]) -> usize {
        let Some(node) = self.nodes.get(node) else { return UNREAD };
        node.children.iter().find(|(other, _)| string::equals(name, other)).map_or(UNREAD, |&(_, child)| child)
    }

    /// The node's own slot, and those of it and all beneath it.
    pub(super) fn slots_of(&self, node: usize) -> (Option<usize>, Range<usize>) {
        self.nodes.get(node).map_or((None, 0..0), |node| (node.slot, node.subtree.clone()))
    }
}

fn length_bit(length: usize) -> u64 {
    1 << (length % 64)
}
