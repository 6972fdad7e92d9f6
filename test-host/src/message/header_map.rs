//! Header fields in the order they stood, duplicates and pseudo headers included, as bytes.

use std::sync::Arc;

use bytes::Bytes;
use smallvec::SmallVec;

/// One header field. The name is lower case, as HTTP/2 and Envoy keep it; neither side need be UTF-8.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Header {
    pub name: Bytes,
    pub value: Bytes,
}

impl std::fmt::Debug for Header {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.name.escape_ascii(), self.value.escape_ascii())
    }
}

/// An ordered list of header fields. A clone shares the fields, and an edit copies none of them: a replay keeps several
/// states of the same message, most of them nearly equal.
///
/// Not `http::HeaderMap`: that one promises no order among names, refuses `:path`, and a replay must keep what was
/// recorded as it was.
#[derive(Clone, Default)]
pub struct HeaderMap {
    /// As it was received; it stays so while another map shares it.
    received: Arc<Vec<Header>>,
    /// What edits have made of it.
    edited: Option<Arc<Order>>,
}

/// The fields of an edited map, in order. A request has some fifteen, and filters and the router add a few.
type Order = SmallVec<[Field; 24]>;

/// A field of an edited map.
#[derive(Clone)]
enum Field {
    /// The n-th that was received.
    Received(usize),
    Written(Arc<Header>),
}

impl Field {
    fn header<'a>(&'a self, received: &'a [Header]) -> &'a Header {
        match self {
            Field::Received(nth) => &received[*nth],
            Field::Written(header) => header,
        }
    }
}

/// The fields, to be changed.
enum Own<'a> {
    /// No other map has them.
    Received(&'a mut Vec<Header>),
    Edited(&'a mut Order, &'a [Header]),
}

impl HeaderMap {
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a field behind all others. Pseudo headers (`:path`) go behind the pseudo headers already there, before
    /// the first ordinary field, where Envoy always shows them.
    pub fn push(&mut self, name: impl Into<Bytes>, value: impl Into<Bytes>) {
        self.push_lower_case(lower_case(name.into()), value.into());
    }

    fn push_lower_case(&mut self, name: Bytes, value: Bytes) {
        let at = if name.starts_with(b":") {
            self.find(|known| !known.starts_with(b":")).map_or(self.len(), |(at, _)| at)
        } else {
            self.len()
        };
        let header = Header { name, value };
        match self.own() {
            Own::Received(fields) => fields.insert(at, header),
            Own::Edited(fields, _) => fields.insert(at, Field::Written(Arc::new(header))),
        }
    }

    /// The first value of a field; the name is compared without regard to case.
    pub fn first(&self, name: &[u8]) -> Option<&Bytes> {
        self.find(|known| is_named(known, name)).map(|(_, header)| &header.value)
    }

    /// All values of a field, in order.
    pub fn all<'a>(&'a self, name: &'a [u8]) -> impl Iterator<Item = &'a Bytes> {
        self.iter().filter(|header| is_named(&header.name, name)).map(|header| &header.value)
    }

    pub fn contains(&self, name: &[u8]) -> bool {
        self.first(name).is_some()
    }

    /// Replaces the value of the field's first occurrence where it stands, or appends it, and drops the others.
    pub fn set(&mut self, name: &[u8], value: impl Into<Bytes>) {
        let (is_meant, value) = (|known: &[u8]| is_named(known, name), value.into());
        let Some((at, _)) = self.find(is_meant) else {
            return self.push(Bytes::copy_from_slice(name), value);
        };
        self.write(at, value);
        if self.iter().skip(at + 1).any(|header| is_meant(&header.name)) {
            let mut index = 0;
            self.retain(|known| {
                index += 1;
                index - 1 <= at || !is_meant(known)
            });
        }
    }

    /// Removes every occurrence of a field and adds one behind all others.
    pub fn replace(&mut self, name: Bytes, value: Bytes) {
        let name = lower_case(name);
        self.remove_all(|known| known == name);
        self.push_lower_case(name, value);
    }

    /// Changes the value of a field's first occurrence, where there is one. `false`: there is none.
    pub fn change_first(&mut self, name: &[u8], change: impl FnOnce(&Bytes) -> Bytes) -> bool {
        let found = self.find(|known| is_named(known, name));
        let Some((at, value)) = found.map(|(at, header)| (at, change(&header.value))) else { return false };
        self.write(at, value);
        true
    }

    /// Removes every occurrence of a field; says how many there were.
    pub fn remove(&mut self, name: &[u8]) -> usize {
        self.remove_all(|known| is_named(known, name))
    }

    /// Removes every field whose name is meant; says how many there were. Names are lower case.
    pub fn remove_all(&mut self, meant: impl Fn(&[u8]) -> bool) -> usize {
        let before = self.len();
        if self.find(&meant).is_some() {
            self.retain(|name| !meant(name));
        }
        before - self.len()
    }

    /// The first field whose name is meant, and its place.
    fn find(&self, meant: impl Fn(&[u8]) -> bool) -> Option<(usize, &Header)> {
        let is_meant = |header: &Header| meant(&header.name);
        match &self.edited {
            None => self.received.iter().enumerate().find(|(_, header)| is_meant(header)),
            Some(fields) => {
                let fields = fields.iter().map(|field| field.header(&self.received));
                fields.enumerate().find(|(_, header)| is_meant(header))
            }
        }
    }

    fn write(&mut self, at: usize, value: Bytes) {
        match self.own() {
            Own::Received(fields) => fields[at].value = value,
            Own::Edited(fields, received) => {
                let name = fields[at].header(received).name.clone();
                fields[at] = Field::Written(Arc::new(Header { name, value }));
            }
        }
    }

    fn retain(&mut self, mut keep: impl FnMut(&[u8]) -> bool) {
        match self.own() {
            Own::Received(fields) => fields.retain(|header| keep(&header.name)),
            Own::Edited(fields, received) => fields.retain(|field| keep(&field.header(received).name)),
        }
    }

    /// The fields, to be changed. Where another map shares them it is only their order that is copied.
    fn own(&mut self) -> Own<'_> {
        let HeaderMap { received, edited } = self;
        let unshared = match edited {
            Some(fields) => Arc::get_mut(fields).is_some(),
            None => Arc::get_mut(received).is_some(),
        };
        if !unshared {
            let fields = match edited {
                Some(shared) => shared.iter().cloned().collect(),
                None => (0..received.len()).map(Field::Received).collect(),
            };
            *edited = Some(Arc::new(fields));
        }
        match edited {
            Some(fields) => Own::Edited(Arc::make_mut(fields), received),
            None => Own::Received(Arc::make_mut(received)),
        }
    }

    pub fn iter(&self) -> Iter<'_> {
        match &self.edited {
            None => Iter(Fields::Received(self.received.iter())),
            Some(fields) => Iter(Fields::Edited(fields.iter(), &self.received)),
        }
    }

    pub fn len(&self) -> usize {
        self.edited.as_ref().map_or(self.received.len(), |fields| fields.len())
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Sum of the bytes of all names and values, without any framing.
    pub fn byte_size(&self) -> usize {
        self.iter().map(|h| h.name.len() + h.value.len()).sum()
    }
}

impl PartialEq for HeaderMap {
    fn eq(&self, other: &Self) -> bool {
        let untouched = self.edited.is_none() && other.edited.is_none();
        (untouched && Arc::ptr_eq(&self.received, &other.received)) || self.iter().eq(other)
    }
}

impl Eq for HeaderMap {}

impl std::fmt::Debug for HeaderMap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HeaderMap(")?;
        f.debug_list().entries(self).finish()?;
        f.write_str(")")
    }
}

/// The fields of a [`HeaderMap`], in order.
#[derive(Clone)]
pub struct Iter<'a>(Fields<'a>);

#[derive(Clone)]
enum Fields<'a> {
    Received(std::slice::Iter<'a, Header>),
    Edited(std::slice::Iter<'a, Field>, &'a [Header]),
}

impl std::fmt::Debug for Iter<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

impl<'a> Iterator for Iter<'a> {
    type Item = &'a Header;

    fn next(&mut self) -> Option<&'a Header> {
        match &mut self.0 {
            Fields::Received(fields) => fields.next(),
            Fields::Edited(fields, received) => fields.next().map(|field| field.header(received)),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match &self.0 {
            Fields::Received(fields) => fields.size_hint(),
            Fields::Edited(fields, _) => fields.size_hint(),
        }
    }
}

impl ExactSizeIterator for Iter<'_> {}

/// Whether a field that is kept is asked for by this name, mostly written as it is kept.
fn is_named(kept: &[u8], name: &[u8]) -> bool {
    kept.len() == name.len() && (kept == name || kept.eq_ignore_ascii_case(name))
}

pub(crate) fn lower_case(name: Bytes) -> Bytes {
    // All of it is looked at: that is faster than to stop early.
    let is_lower_case = !name.iter().fold(false, |upper, byte| upper | byte.is_ascii_uppercase());
    if is_lower_case { name } else { name.to_ascii_lowercase().into() }
}

impl<'a> IntoIterator for &'a HeaderMap {
    type Item = &'a Header;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<N: Into<Bytes>, V: Into<Bytes>> FromIterator<(N, V)> for HeaderMap {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(fields: I) -> Self {
        let mut map = HeaderMap::new();
        for (name, value) in fields {
            map.push(name, value);
        }
        map
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_duplicates_are_kept_and_pseudo_headers_come_first() {
        let mut map =
            HeaderMap::from_iter([("b", "1"), ("A", "2"), (":path", "/"), ("b", "3"), (":method", "GET")]);
        let listed: Vec<_> = map.iter().map(|h| format!("{h:?}")).collect();
        assert_eq!(listed, [":path: /", ":method: GET", "b: 1", "a: 2", "b: 3"]);
        map.set(b"B", "9");
        let listed: Vec<_> = map.iter().map(|h| format!("{h:?}")).collect();
        assert_eq!(listed, [":path: /", ":method: GET", "b: 9", "a: 2"]);
    }

    #[test]
    fn a_clone_keeps_what_it_had_when_the_other_is_changed() {
        let recorded = HeaderMap::from_iter([("a", "1"), ("b", "2")]);
        let mut edited = recorded.clone();
        assert_eq!(edited.remove(b"c"), 0);
        assert!(edited.edited.is_none(), "nothing was changed, and so nothing copied");
        edited.set(b"a", "9");
        edited.push("d", "3");
        assert_eq!(
            format!("{recorded:?} {edited:?}"),
            "HeaderMap([a: 1, b: 2]) HeaderMap([a: 9, b: 2, d: 3])"
        );
    }

    #[test]
    fn values_that_are_not_utf8_are_kept_as_they_are() {
        let map = HeaderMap::from_iter([(&b"x"[..], &b"\xff\xfe"[..])]);
        assert_eq!(map.first(b"X").map(|v| &v[..]), Some(&b"\xff\xfe"[..]));
    }
}
