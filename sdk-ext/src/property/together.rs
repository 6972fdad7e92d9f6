//! Several attributes for the price of one: a call that returns bytes is what costs in Envoy, so they are asked for together, as a list
//! that Envoy's own expressions build.

use super::{Prop, PropValue};
use crate::headers::HeaderBlock;
use crate::hostcalls::{self, Host};
use std::marker::PhantomData;

/// The attributes that shall be read together, in the making.
#[derive(Clone, Debug, Default)]
pub struct Props(Vec<&'static str>);

/// Where the value of one attribute stands among those read together.
pub struct Slot<T> {
    at: usize,
    value: PhantomData<fn() -> T>,
}

impl<T> Clone for Slot<T> {
    fn clone(&self) -> Slot<T> {
        *self
    }
}

impl<T> Copy for Slot<T> {}

impl<T> std::fmt::Debug for Slot<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Slot({})", self.at)
    }
}

impl Props {
    #[must_use]
    pub fn new() -> Props {
        Props::default()
    }

    /// One more; what it is found by among [`Values`].
    pub fn add<T: PropValue>(&mut self, property: &Prop<T>) -> Slot<T> {
        self.0.push(property.path);
        Slot { at: self.0.len().saturating_sub(1), value: PhantomData }
    }
}

/// Attributes that are read together. Made by [`Init::together`](crate::Init::together), read by
/// [`StreamInfo::read`](crate::StreamInfo::read).
///
/// They are read one by one where Envoy has no expressions, or may not be asked for them (capability restrictions), and where a path
/// has other characters than `a` to `z` and `_`, as metadata may.
#[derive(Clone, Debug)]
pub struct Together {
    paths: Box<[&'static str]>,
    /// Envoy's numbers of two expressions, as it wants them back: a quick one that fails where an attribute is missing, and one that asks
    /// of each whether it is there, which takes twice as long.
    expressions: Box<[[u8; 4]]>,
}

/// What was read: [`get`](Values::get) gives each with its type. One that the stream does not have, and a text without a byte, is `None`.
#[derive(Clone, Debug)]
pub struct Values(Read);

#[derive(Clone, Debug)]
enum Read {
    Together(HeaderBlock),
    Singly(Vec<Option<Vec<u8>>>),
}

impl Together {
    /// Two hostcalls, which parse the expressions.
    pub(crate) fn new(Props(paths): Props) -> Together {
        let numbered = |guarded| {
            let number = hostcalls::foreign("expr_create", &list(&paths, guarded)?);
            // What cannot be had together is had one by one: nobody needs to know.
            number.ok()?.try_into().ok()
        };
        let expressions = [false, true].into_iter().filter_map(numbered).collect();
        Together { paths: paths.into(), expressions }
    }

    pub(crate) fn read(&self) -> Host<Values> {
        let together = self.expressions.iter().find_map(|number| {
            let list = hostcalls::foreign("expr_evaluate", number).ok()?;
            HeaderBlock::decode(list).filter(|list| list.len() == self.paths.len())
        });
        Ok(Values(match together {
            Some(list) => Read::Together(list),
            None => {
                let each = self.paths.iter().map(|path| hostcalls::property(path.as_bytes()));
                Read::Singly(each.collect::<Host<_>>()?)
            }
        }))
    }
}

impl Values {
    /// One of the attributes; no hostcall.
    ///
    /// # Errors
    /// `parse failure` when the value has not the attribute's type.
    pub fn get<T: PropValue>(&self, slot: Slot<T>) -> Host<Option<T>> {
        match self.bytes(slot.at) {
            None => Ok(None),
            Some(bytes) => T::decode(bytes.to_vec()).map(Some).ok_or_else(hostcalls::malformed_property),
        }
    }

    /// The same of a text, where it lies; empty when the stream has none.
    #[must_use]
    pub fn text(&self, slot: Slot<Vec<u8>>) -> &[u8] {
        self.bytes(slot.at).unwrap_or_default()
    }

    fn bytes(&self, at: usize) -> Option<&[u8]> {
        let bytes = match &self.0 {
            // Envoy writes a list as pairs: what it holds is where a map has its keys.
            Read::Together(list) => list.nth(at).map(|(element, _)| element),
            Read::Singly(each) => each.get(at)?.as_deref(),
        };
        bytes.filter(|bytes| !bytes.is_empty())
    }
}

/// `[response.code,xds.route_name]`, or guarded `[has(response.code)?response.code:'',…]`. `None` for a path that an expression would have
/// to quote.
fn list(paths: &[&str], guarded: bool) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    for path in paths {
        text.push(if text.is_empty() { b'[' } else { b',' });
        if guarded {
            text.extend_from_slice(b"has(");
            push(&mut text, path)?;
            text.extend_from_slice(b")?");
        }
        push(&mut text, path)?;
        if guarded {
            text.extend_from_slice(b":''");
        }
    }
    text.push(b']');
    Some(text)
}

fn push(text: &mut Vec<u8>, path: &str) -> Option<()> {
    for byte in path.bytes() {
        text.push(match byte {
            b'\0' => b'.',
            b'a'..=b'z' | b'_' => byte,
            _ => return None,
        });
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::property::{RESPONSE_CODE, ROUTE_NAME, custom};

    #[test]
    fn an_expression_names_attributes_as_envoy_does_and_asks_whether_each_is_there() {
        let text =
            |paths: &[&str], guarded| list(paths, guarded).map(|text| String::from_utf8(text).expect("text"));
        let paths = ["response\0code", "xds\0route_name"];
        assert_eq!(text(&paths, false).as_deref(), Some("[response.code,xds.route_name]"));
        assert_eq!(
            text(&paths, true).as_deref(),
            Some("[has(response.code)?response.code:'',has(xds.route_name)?xds.route_name:'']")
        );
        for quoted in ["a\0b.c", "a\0it's", "a\0b-c", "a\0B", "a\0b]"] {
            assert_eq!(text(&[quoted], false), None, "{quoted}");
        }
    }

    #[test]
    fn values_are_the_same_read_together_and_singly() {
        let mut props = Props::new();
        let (code, route) = (props.add(&RESPONSE_CODE), props.add(&ROUTE_NAME));
        let id = props.add(&custom("request\0id"));
        let ok = 200_u64.to_le_bytes();
        let list = HeaderBlock::from_pairs([(&ok[..], &b""[..]), (b"every", b""), (b"", b"")]);
        let singly = vec![Some(ok.to_vec()), Some(b"every".to_vec()), None];
        for values in [Values(Read::Together(list)), Values(Read::Singly(singly))] {
            assert_eq!(values.get(code), Ok(Some(200)));
            assert_eq!(values.text(route), b"every");
            assert_eq!(values.get(id), Ok(None));
        }
    }
}
