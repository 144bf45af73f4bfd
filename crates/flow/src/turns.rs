//! Whose turn it is: one queue for each, and each in turn, so that whoever has many in line keeps
//! nobody else from being served.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// What waits, by whose it is.
pub(crate) struct Turns<K, T> {
    queues: HashMap<K, VecDeque<T>>,
    /// Those with something in their queue, the next first.
    order: VecDeque<K>,
    count: usize,
}

impl<K: Copy + Eq + Hash, T> Turns<K, T> {
    pub(crate) fn new() -> Self {
        Self { queues: HashMap::new(), order: VecDeque::new(), count: 0 }
    }

    /// How many wait.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Puts something at the end of a queue.
    pub(crate) fn push(&mut self, whose: K, item: T) {
        let queue = self.queues.entry(whose).or_default();
        if queue.is_empty() {
            self.order.push_back(whose);
        }
        queue.push_back(item);
        self.count += 1;
    }

    /// Takes what is next.
    pub(crate) fn pop(&mut self) -> Option<T> {
        let whose = self.order.pop_front()?;
        let queue = self.queues.get_mut(&whose)?;
        let item = queue.pop_front()?;
        self.count -= 1;
        if queue.is_empty() {
            self.queues.remove(&whose);
        } else {
            self.order.push_back(whose);
        }
        Some(item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crowd_keeps_nobody_from_his_turn() {
        let mut turns = Turns::new();
        for number in 0..100 {
            turns.push("crowd", number);
        }
        turns.push("other", 1000);
        turns.push("other", 1001);
        turns.push("third", 2000);
        let first: Vec<i32> = std::iter::from_fn(|| turns.pop()).take(7).collect();
        assert_eq!(first, [0, 1000, 2000, 1, 1001, 2, 3], "in turns, and each queue in order");
        turns.push("other", 1002);
        assert_eq!([turns.pop(), turns.pop()], [Some(4), Some(1002)]);
        assert_eq!(turns.count(), 95);
        assert_eq!(std::iter::from_fn(|| turns.pop()).count(), 95);
        assert_eq!((turns.count(), turns.queues.len()), (0, 0), "nothing is kept of who is served");
    }
}
