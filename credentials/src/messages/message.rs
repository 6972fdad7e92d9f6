//! A message as the one who verifies it sees it.

/// Name and value of a field, pseudo fields included.
pub type Field<'a> = (&'a [u8], &'a [u8]);

/// A header block, and what its pseudo fields say.
#[derive(Clone, Copy)]
pub struct Message<'a> {
    fields: &'a [Field<'a>],
    pub(super) method: Option<&'a [u8]>,
    pub(super) scheme: Option<&'a [u8]>,
    pub(super) authority: Option<&'a [u8]>,
    pub(super) target: Option<&'a [u8]>,
    pub(super) status: Option<&'a [u8]>,
}

/// A pseudo field occurs twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a pseudo field occurs twice")]
pub struct Malformed;

/// Names alone: any value may be a credential.
impl std::fmt::Debug for Message<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.fields.iter().map(|(name, _)| name.escape_ascii().to_string())).finish()
    }
}

impl<'a> Message<'a> {
    /// # Errors
    /// [`Malformed`].
    pub fn of(fields: &'a [Field<'a>]) -> Result<Self, Malformed> {
        let mut message =
            Self { fields, method: None, scheme: None, authority: None, target: None, status: None };
        for (name, value) in fields {
            let place = match *name {
                b":method" => &mut message.method,
                b":scheme" => &mut message.scheme,
                b":authority" => &mut message.authority,
                b":path" => &mut message.target,
                b":status" => &mut message.status,
                _ => continue,
            };
            if place.replace(*value).is_some() {
                return Err(Malformed);
            }
        }
        Ok(message)
    }

    /// The values of a field, one a line, without white space around them. Names are compared without case.
    pub fn values(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.fields
            .iter()
            .filter(move |(given, _)| given.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| trim(value))
    }

    /// All lines of a field as one value (RFC 9110, 5.3); `None` where there is none.
    #[must_use]
    pub fn joined(&self, name: &str) -> Option<Vec<u8>> {
        let mut values = self.values(name);
        let mut joined = values.next()?.to_vec();
        for value in values {
            joined.extend_from_slice(b", ");
            joined.extend_from_slice(value);
        }
        Some(joined)
    }
}

/// Without the white space that HTTP has around values.
fn trim(value: &[u8]) -> &[u8] {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = value.iter().position(|byte| !blank(byte)).unwrap_or(value.len());
    let end = value.iter().rposition(|byte| !blank(byte)).map_or(start, |last| last.saturating_add(1));
    value.get(start..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_field_are_one_value_whatever_case_its_name_has() {
        let fields: &[Field<'_>] = &[(b"A", b" 1 \t"), (b"b", b""), (b"a", b"\t"), (b"a", b"2 2")];
        let message = Message::of(fields).unwrap();
        assert_eq!(message.joined("a").unwrap(), b"1, , 2 2");
        assert_eq!(message.joined("b").unwrap(), b"");
        assert_eq!(message.joined("c"), None);
    }

    #[test]
    fn a_pseudo_field_twice_is_no_message() {
        let fields: &[Field<'_>] = &[(b":path", b"/a"), (b":path", b"/a")];
        assert!(Message::of(fields).is_err());
    }

    #[test]
    fn debug_shows_no_value() {
        let fields: &[Field<'_>] = &[(b"authorization", b"hunter2")];
        let shown = format!("{:?}", Message::of(fields).unwrap());
        assert!(shown.contains("authorization") && !shown.contains("hunter2"), "{shown}");
    }
}
