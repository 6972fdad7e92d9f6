//! What a VM keeps under the ABI's numbers.

/// Values by number. Hosts count upwards, so a new one goes to the end of a sorted list: one allocation for all of them, and a
/// twentieth of the code of a map.
#[derive(Debug)]
pub(crate) struct Table<T>(Vec<(u32, T)>);

impl<T> Table<T> {
    pub(crate) const fn new() -> Table<T> {
        Table(Vec::new())
    }

    /// Where a number is, or where it belongs.
    #[inline(never)]
    fn place(&self, id: u32) -> usize {
        self.0.partition_point(|(known, _)| *known < id)
    }

    /// Returns what stood there before.
    pub(crate) fn insert(&mut self, id: u32, value: T) -> Option<T> {
        if self.0.last().is_none_or(|(last, _)| *last < id) {
            self.0.push((id, value));
            return None;
        }
        let place = self.place(id);
        match self.0.get_mut(place) {
            Some((known, old)) if *known == id => Some(std::mem::replace(old, value)),
            _ => {
                self.0.insert(place, (id, value));
                None
            }
        }
    }

    pub(crate) fn get_mut(&mut self, id: u32) -> Option<&mut T> {
        let place = self.place(id);
        self.0.get_mut(place).filter(|(known, _)| *known == id).map(|(_, value)| value)
    }

    pub(crate) fn get(&self, id: u32) -> Option<&T> {
        self.0.get(self.place(id)).filter(|(known, _)| *known == id).map(|(_, value)| value)
    }

    pub(crate) fn remove(&mut self, id: u32) -> Option<T> {
        // Most are asked on every request and hold nothing.
        if self.0.is_empty() {
            return None;
        }
        let place = self.place(id);
        self.0.get(place).filter(|(known, _)| *known == id)?;
        Some(self.0.remove(place).1)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.0.iter().map(|(id, value)| (*id, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn it_holds_what_a_map_would_whatever_the_order() {
        let (mut table, mut map) = (Table::new(), BTreeMap::new());
        let mut seed = 7_u32;
        for step in 0..10_000_u32 {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let id = if step % 3 == 0 { step } else { seed >> 26 };
            if seed & 1 == 0 {
                assert_eq!(table.insert(id, step), map.insert(id, step));
            } else {
                assert_eq!(table.remove(id), map.remove(&id));
            }
            assert_eq!(table.get(id), map.get(&id));
            assert_eq!(table.get_mut(id), map.get_mut(&id));
        }
        assert!(table.iter().eq(map.iter().map(|(id, value)| (*id, value))));
    }
}
