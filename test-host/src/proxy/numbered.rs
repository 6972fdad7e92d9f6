//! A map by numbers that grow.

/// Ordered by number. Entries come in the order of their numbers and mostly few are there at once, so that the newest is
/// looked for first.
#[derive(Debug)]
pub(crate) struct Numbered<K, V>(Vec<(K, V)>);

impl<K, V> Default for Numbered<K, V> {
    fn default() -> Self {
        Numbered(Vec::new())
    }
}

impl<K: Copy + Ord, V> Numbered<K, V> {
    fn find(&self, number: K) -> Result<usize, usize> {
        match self.0.last() {
            Some((last, _)) if *last == number => Ok(self.0.len() - 1),
            _ => self.0.binary_search_by_key(&number, |(known, _)| *known),
        }
    }

    pub(crate) fn get(&self, number: &K) -> Option<&V> {
        self.find(*number).ok().map(|at| &self.0[at].1)
    }

    pub(crate) fn get_mut(&mut self, number: &K) -> Option<&mut V> {
        self.find(*number).ok().map(|at| &mut self.0[at].1)
    }

    /// What has the number already is replaced.
    pub(crate) fn insert(&mut self, number: K, value: V) {
        match self.find(number) {
            Ok(at) => self.0[at].1 = value,
            Err(at) => self.0.insert(at, (number, value)),
        }
    }

    pub(crate) fn remove(&mut self, number: &K) -> Option<V> {
        self.find(*number).ok().map(|at| self.0.remove(at).1)
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &K> {
        self.0.iter().map(|(number, _)| number)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_comes_and_goes_the_order_stays() {
        let mut map = Numbered::default();
        for number in [1, 2, 5, 9, 3] {
            map.insert(number, number * 10);
        }
        map.insert(5, 51);
        assert_eq!(
            (map.get(&9), map.get(&5), map.get(&3), map.get(&4)),
            (Some(&90), Some(&51), Some(&30), None)
        );
        assert_eq!((map.remove(&2), map.remove(&2), map.remove(&9)), (Some(20), None, Some(90)));
        assert_eq!(map.keys().collect::<Vec<_>>(), [&1, &3, &5]);
    }
}
