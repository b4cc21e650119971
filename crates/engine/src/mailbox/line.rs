//! One lane of a mailbox: first come, first served, but nobody fills it alone.
//!
//! ```text
//! push ─▶ fewer than a share in the queue? ──yes──▶ queue ─▶ pop
//!                        │ no                         ▲       │
//!                        ▼                            └───────┘
//!              held, in the order of its share   one follows for one
//! ```
//!
//! At most a share of the queue belongs to one user (or merchant); what else that user sends is
//! held apart, and one of it moves to the end of the queue whenever one of it leaves the front. So
//! a stranger's command waits behind a share of each busy user and not behind all they sent; a
//! user who is alone gets every place; and the commands of one user keep their order. Each item
//! costs one look into a hash table when it comes and one when it goes.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};

use super::Item;

/// A lane. Items whose envelope has no share count against nobody.
#[derive(Debug, Default)]
pub(super) struct Line {
    queue: VecDeque<Item>,
    shares: HashMap<i64, Waiting>,
    held: usize,
}

/// What one user has here. Held items imply a queued one, which will fetch them.
#[derive(Debug, Default)]
struct Waiting {
    queued: usize,
    held: VecDeque<Item>,
}

impl Line {
    /// Adds an item; `share` is how many places of the queue one user may have.
    pub(super) fn push(&mut self, item: Item, share: usize) {
        if let Some(whose) = item.envelope.share {
            let waiting = self.shares.entry(whose).or_default();
            if waiting.queued >= share {
                waiting.held.push_back(item);
                self.held += 1;
                return;
            }
            waiting.queued += 1;
        }
        self.queue.push_back(item);
    }

    /// Gives an item its place at the front back.
    pub(super) fn push_front(&mut self, item: Item) {
        if let Some(whose) = item.envelope.share {
            self.shares.entry(whose).or_default().queued += 1;
        }
        self.queue.push_front(item);
    }

    /// Takes the item at the front; the next one of the same user gets in line.
    pub(super) fn pop(&mut self, share: usize) -> Option<Item> {
        let item = self.queue.pop_front()?;
        if let Some(whose) = item.envelope.share
            && let Entry::Occupied(mut entry) = self.shares.entry(whose)
        {
            let waiting = entry.get_mut();
            waiting.queued -= 1;
            if waiting.queued < share
                && let Some(mut next) = waiting.held.pop_front()
            {
                // Its wait says how busy its user is, and nothing about the queue.
                next.queued = None;
                waiting.queued += 1;
                self.held -= 1;
                self.queue.push_back(next);
            } else if waiting.queued == 0 {
                entry.remove();
            }
        }
        Some(item)
    }

    /// Takes out the items that are `wanted`; the others keep their order.
    pub(super) fn take_out(
        &mut self,
        share: usize,
        wanted: impl Fn(&Item) -> bool,
        out: &mut Vec<Item>,
    ) {
        if self.held == 0 && !self.queue.iter().any(&wanted) {
            return;
        }
        let mut rest = Vec::new();
        while let Some(item) = self.pop(share) {
            if wanted(&item) { out.push(item) } else { rest.push(item) }
        }
        for item in rest {
            self.push(item, share);
        }
    }

    /// The next item.
    pub(super) fn front(&self) -> Option<&Item> {
        self.queue.front()
    }

    /// Number of items, held ones included.
    pub(super) fn len(&self) -> usize {
        self.queue.len() + self.held
    }

    /// Number of items that wait for their user's share.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// Number of items of one user.
    pub(super) fn of(&self, whose: i64) -> usize {
        self.shares.get(&whose).map_or(0, |waiting| waiting.queued + waiting.held.len())
    }
}
