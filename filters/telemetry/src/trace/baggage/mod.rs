//! The `baggage` field: W3C Baggage, "Baggage HTTP Header Format".

use crate::trace::traceparent::trim_ows;

/// What is passed on: as many members and bytes as everybody has to (section "Limits").
const MAX_MEMBERS: usize = 64;
const MAX_BYTES: usize = 8192;

/// One `key=value;property…` in the grammar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member<'a> {
    pub key: &'a [u8],
    /// As sent: percent-encoded.
    pub value: &'a [u8],
    /// Behind the first `;`, as sent; empty without.
    pub properties: &'a [u8],
    whole: &'a [u8],
}

impl<'a> Member<'a> {
    /// `None` for what is out of grammar.
    pub fn parse(text: &'a [u8]) -> Option<Member<'a>> {
        let whole = trim_ows(text);
        let (pair, properties) = split(whole, b';').unwrap_or((whole, b""));
        let (key, value) = split(pair, b'=')?;
        let (key, value) = (trim_ows(key), trim_ows(value));
        let right = is_token(key) && value.iter().copied().all(is_octet);
        let listed = whole.len() == pair.len() || properties.split(|byte| *byte == b';').all(is_property);
        (right && listed).then_some(Member { key, value, properties, whole })
    }

    /// Its properties: a key, and a value where it has one.
    pub fn properties(&self) -> impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)> {
        let listed = self.properties.split(|byte| *byte == b';').filter(|property| !property.is_empty());
        listed.map(|property| match split(property, b'=') {
            Some((key, value)) => (trim_ows(key), Some(trim_ows(value))),
            None => (trim_ows(property), None),
        })
    }
}

/// What a value says: percent-decoded, with U+FFFD for what is no UTF-8 then.
pub fn decoded(value: &[u8]) -> String {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value;
    while let [first, behind @ ..] = rest {
        let byte = match (first, behind) {
            (b'%', [high, low, ..]) => pair(*high, *low),
            _ => None,
        };
        bytes.push(byte.unwrap_or(*first));
        rest = match byte {
            Some(_) => behind.get(2..).unwrap_or_default(),
            None => behind,
        };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn pair(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some((digit(high)? << 4) | digit(low)?)
}

/// What is passed on of all lines of the field: members in the grammar, of those that may pass, as many as the limits allow, each
/// whole and as it came. `None`: all of it, as it came.
///
/// `may_pass` is asked for each key.
pub fn passed_on<'a>(
    lines: impl Iterator<Item = &'a [u8]> + Clone,
    may_pass: impl Fn(&[u8]) -> bool,
) -> Option<Vec<u8>> {
    let mut field = Vec::new();
    let (mut members, mut changed) = (0_usize, false);
    for text in lines.clone().flat_map(|line| line.split(|byte| *byte == b',')) {
        if trim_ows(text).is_empty() {
            continue;
        }
        let Some(member) = Member::parse(text).filter(|member| may_pass(member.key)) else {
            changed = true;
            continue;
        };
        let comma = usize::from(members > 0);
        let length = field.len().saturating_add(comma).saturating_add(member.whole.len());
        if members >= MAX_MEMBERS || length > MAX_BYTES {
            changed = true;
            continue;
        }
        members = members.saturating_add(1);
        if comma > 0 {
            field.push(b',');
        }
        field.extend_from_slice(member.whole);
    }
    // Lists with white space of their own may be longer than what is made of them.
    let length = lines.map(|line| line.len().saturating_add(1)).fold(0, usize::saturating_add);
    changed |= length.saturating_sub(1) > MAX_BYTES;
    changed.then_some(field)
}

fn split(text: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let place = text.iter().position(|byte| *byte == at)?;
    let (before, behind) = text.split_at_checked(place)?;
    Some((before, behind.get(1..)?))
}

fn is_property(text: &[u8]) -> bool {
    match split(text, b'=') {
        Some((key, value)) => is_token(trim_ows(key)) && trim_ows(value).iter().copied().all(is_octet),
        None => is_token(trim_ows(text)),
    }
}

/// RFC 9110, 5.6.2.
pub fn is_token(text: &[u8]) -> bool {
    !text.is_empty()
        && text.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}

fn is_octet(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x2B | 0x2D..=0x3A | 0x3C..=0x5B | 0x5D..=0x7E)
}

#[cfg(test)]
mod tests;
