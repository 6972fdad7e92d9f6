//! A block of headers as an edit leaves it, without fetching it again.

use super::block::{HeaderBlock, WORD};

impl HeaderBlock {
    /// Takes all entries of this name out.
    pub(crate) fn remove(&mut self, name: &[u8]) {
        // Each look begins anew: nearly always there is one entry at most.
        while let Some((place, text)) = self.find(name) {
            let sizes = WORD.saturating_add(place.saturating_mul(2 * WORD));
            // The text first: it lies behind.
            self.cut(text.start, text.len());
            self.cut(sizes, 2 * WORD);
            self.set_count(self.count.saturating_sub(1));
        }
    }

    /// Adds an entry behind all others; a pseudo header behind the pseudo headers, where Envoy has them.
    pub(crate) fn add(&mut self, name: &[u8], value: &[u8]) {
        let behind = match name.first() {
            Some(b':') => self.iter().take_while(|(name, _)| name.first() == Some(&b':')).count(),
            _ => self.count,
        };
        if self.bytes.is_empty() {
            self.bytes.extend_from_slice(&[0; WORD]);
        }
        let text = self.text_of(behind);
        let mut entry = Vec::with_capacity(name.len().saturating_add(value.len()).saturating_add(2));
        for part in [name, value] {
            entry.extend_from_slice(part);
            entry.push(0);
        }
        self.put(text, &entry);
        let mut sizes = [0; 2 * WORD];
        for (word, part) in sizes.as_chunks_mut::<WORD>().0.iter_mut().zip([name, value]) {
            *word = u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes();
        }
        self.put(WORD.saturating_add(behind.saturating_mul(2 * WORD)), &sizes);
        self.set_count(self.count.saturating_add(1));
        self.lengths.insert(name.len());
    }

    /// Where the text of the entry at this place begins, or of one that would stand there.
    fn text_of(&self, place: usize) -> usize {
        let mut entries = self.entries();
        for _ in 0..place {
            if entries.next_span().is_none() {
                break;
            }
        }
        entries.at
    }

    fn set_count(&mut self, count: usize) {
        self.count = count;
        if let Some(word) = self.bytes.first_chunk_mut::<WORD>() {
            *word = u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes();
        }
    }

    fn cut(&mut self, start: usize, len: usize) {
        let end = start.saturating_add(len);
        if end <= self.bytes.len() {
            self.bytes.copy_within(end.., start);
            self.bytes.truncate(self.bytes.len().saturating_sub(len));
        }
    }

    fn put(&mut self, start: usize, new: &[u8]) {
        let end = start.saturating_add(new.len());
        let old = self.bytes.len();
        if start <= old {
            self.bytes.resize(old.saturating_add(new.len()), 0);
            self.bytes.copy_within(start..old, end);
            if let Some(place) = self.bytes.get_mut(start..end) {
                place.copy_from_slice(new);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name() -> impl Strategy<Value = &'static str> {
        prop::sample::select(vec![":path", ":method", "a", "b", "cookie", "x-long-name"])
    }

    proptest! {
        #[test]
        fn an_edited_block_is_one_made_of_the_edited_list(
            start in prop::collection::vec((name(), "[a-z]{0,5}"), 0..8),
            edits in prop::collection::vec((name(), prop::option::of("[a-z]{0,9}")), 0..8)
        ) {
            // As a host has them.
            let mut list = Vec::new();
            let add = |list: &mut Vec<(String, String)>, name: &str, value: &str| {
                let pseudo = list.iter().take_while(|(name, _)| name.starts_with(':')).count();
                let place = if name.starts_with(':') { pseudo } else { list.len() };
                list.insert(place, (name.to_owned(), value.to_owned()));
            };
            for (name, value) in &start {
                add(&mut list, name, value);
            }
            let block = |list: &[(String, String)]| {
                let pairs = list.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
                HeaderBlock::from_pairs(pairs)
            };
            let mut edited = if list.is_empty() { HeaderBlock::decode(Vec::new()).expect("none") } else { block(&list) };
            for (name, value) in &edits {
                list.retain(|(other, _)| other != name);
                edited.remove(name.as_bytes());
                if let Some(value) = value {
                    add(&mut list, name, value);
                    edited.add(name.as_bytes(), value.as_bytes());
                }
                let expected: Vec<_> = list.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
                prop_assert_eq!(edited.iter().collect::<Vec<_>>(), expected);
                let bytes = edited.as_pairs().to_vec();
                prop_assert!(HeaderBlock::decode(bytes).is_some(), "what a host would have sent");
                for (name, _) in &start {
                    let there = list.iter().any(|(other, _)| other == name);
                    prop_assert_eq!(edited.find(name.as_bytes()).is_some(), there);
                }
            }
        }
    }
}
