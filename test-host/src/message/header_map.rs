//! Header fields in the order they stood, duplicates and pseudo headers included, as bytes.

use std::sync::Arc;

use bytes::Bytes;

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

/// An ordered list of header fields. A clone shares the fields until one of the two is changed: a replay keeps several
/// states of the same message, most of them equal.
///
/// Not `http::HeaderMap`: that one promises no order among names, refuses `:path`, and a replay must keep what was
/// recorded as it was.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct HeaderMap(Arc<Vec<Header>>);

impl HeaderMap {
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a field behind all others. Pseudo headers (`:path`) go behind the pseudo headers already there, before
    /// the first ordinary field, where Envoy always shows them.
    pub fn push(&mut self, name: impl Into<Bytes>, value: impl Into<Bytes>) {
        let name = lower_case(name.into());
        let at = if name.starts_with(b":") {
            self.0.iter().position(|h| !h.name.starts_with(b":")).unwrap_or(self.0.len())
        } else {
            self.0.len()
        };
        self.own().insert(at, Header { name, value: value.into() });
    }

    /// The first value of a field; the name is compared without regard to case.
    pub fn first(&self, name: &[u8]) -> Option<&Bytes> {
        self.0.iter().find(|h| h.name.eq_ignore_ascii_case(name)).map(|h| &h.value)
    }

    /// All values of a field, in order.
    pub fn all<'a>(&'a self, name: &'a [u8]) -> impl Iterator<Item = &'a Bytes> {
        self.0.iter().filter(move |h| h.name.eq_ignore_ascii_case(name)).map(|h| &h.value)
    }

    pub fn contains(&self, name: &[u8]) -> bool {
        self.first(name).is_some()
    }

    /// Replaces the value of the field's first occurrence where it stands, or appends it, and drops the others.
    pub fn set(&mut self, name: &[u8], value: impl Into<Bytes>) {
        let value = value.into();
        let Some(at) = self.0.iter().position(|h| h.name.eq_ignore_ascii_case(name)) else {
            return self.push(Bytes::copy_from_slice(name), value);
        };
        let fields = self.own();
        fields[at].value = value;
        let mut index = 0;
        fields.retain(|h| {
            index += 1;
            index - 1 <= at || !h.name.eq_ignore_ascii_case(name)
        });
    }

    /// Removes every occurrence of a field; says how many there were.
    pub fn remove(&mut self, name: &[u8]) -> usize {
        self.remove_all(|known| known.eq_ignore_ascii_case(name))
    }

    /// Removes every field whose name is meant; says how many there were. Names are lower case.
    pub fn remove_all(&mut self, meant: impl Fn(&[u8]) -> bool) -> usize {
        let found = self.0.iter().filter(|h| meant(&h.name)).count();
        if found > 0 {
            self.own().retain(|h| !meant(&h.name));
        }
        found
    }

    /// The fields, to be changed: copied first where another map shares them.
    fn own(&mut self) -> &mut Vec<Header> {
        Arc::make_mut(&mut self.0)
    }

    pub fn iter(&self) -> std::slice::Iter<'_, Header> {
        self.0.iter()
    }

    pub fn iter_mut(&mut self) -> std::slice::IterMut<'_, Header> {
        self.own().iter_mut()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Sum of the bytes of all names and values, without any framing.
    pub fn byte_size(&self) -> usize {
        self.0.iter().map(|h| h.name.len() + h.value.len()).sum()
    }
}

fn lower_case(name: Bytes) -> Bytes {
    if name.iter().any(u8::is_ascii_uppercase) { name.to_ascii_lowercase().into() } else { name }
}

impl<'a> IntoIterator for &'a HeaderMap {
    type Item = &'a Header;
    type IntoIter = std::slice::Iter<'a, Header>;

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
        assert!(Arc::ptr_eq(&recorded.0, &edited.0), "nothing was changed, and so nothing copied");
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
