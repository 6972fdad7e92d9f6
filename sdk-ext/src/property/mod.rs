//! Envoy's attributes with their types: a path that is joined at compile time and a value that is decoded once.

mod attributes;
mod expression;
mod together;

pub use attributes::*;
pub use expression::Expression;
pub use together::{Props, Slot, Together, Values};

use crate::headers::HeaderBlock;
use crate::hostcalls::{self, Host};
use crate::time::Wall;
use std::fmt::Debug;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::time::Duration;

/// An attribute of the stream (Envoy's "Attributes" chapter). Reading costs one hostcall that returns bytes: 1.0-1.5 µs, and 0.2 µs where
/// the stream has none. When which one is there says the table in Envoy's chapter; one that is not there yet is `None`.
pub struct Prop<T> {
    /// Path parts separated by NUL.
    path: &'static str,
    value: PhantomData<fn() -> T>,
}

impl<T> std::fmt::Debug for Prop<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Prop({})", self.path.replace('\0', "."))
    }
}

/// How Envoy encodes a value of this type: text as it is, numbers in 8 bytes little-endian, lists and maps as the ABI's pairs, messages as
/// protobuf.
pub trait PropValue: Debug + Sized + sealed::Sealed + 'static {
    #[doc(hidden)]
    fn decode(bytes: Vec<u8>) -> Option<Self>;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for Vec<u8> {}
    impl Sealed for Vec<Vec<u8>> {}
    impl Sealed for crate::headers::HeaderBlock {}
    impl Sealed for crate::time::Wall {}
    impl Sealed for f64 {}
    impl Sealed for i64 {}
    impl Sealed for u64 {}
    impl Sealed for bool {}
    impl Sealed for std::time::Duration {}
    impl Sealed for std::net::SocketAddr {}
}

impl PropValue for Vec<u8> {
    fn decode(bytes: Vec<u8>) -> Option<Self> {
        Some(bytes)
    }
}

impl PropValue for u64 {
    fn decode(bytes: Vec<u8>) -> Option<Self> {
        Some(u64::from_le_bytes(bytes.try_into().ok()?))
    }
}

impl PropValue for i64 {
    fn decode(bytes: Vec<u8>) -> Option<Self> {
        Some(i64::from_le_bytes(bytes.try_into().ok()?))
    }
}

/// A number in metadata.
impl PropValue for f64 {
    fn decode(bytes: Vec<u8>) -> Option<Self> {
        Some(f64::from_le_bytes(bytes.try_into().ok()?))
    }
}

impl PropValue for bool {
    fn decode(bytes: Vec<u8>) -> Option<Self> {
        match *bytes.as_slice() {
            [byte] => Some(byte != 0),
            _ => None,
        }
    }
}

/// Nanoseconds; none is negative.
impl PropValue for Duration {
    fn decode(bytes: Vec<u8>) -> Option<Self> {
        i64::decode(bytes)?.try_into().ok().map(Duration::from_nanos)
    }
}

impl PropValue for Wall {
    fn decode(bytes: Vec<u8>) -> Option<Self> {
        Duration::decode(bytes).map(Wall::at)
    }
}

/// A map.
impl PropValue for HeaderBlock {
    fn decode(bytes: Vec<u8>) -> Option<Self> {
        HeaderBlock::decode(bytes)
    }
}

/// A list, as in metadata.
impl PropValue for Vec<Vec<u8>> {
    fn decode(bytes: Vec<u8>) -> Option<Self> {
        HeaderBlock::decode(bytes).map(|list| list.iter().map(|(element, _)| element.to_vec()).collect())
    }
}

/// Envoy writes addresses as `10.0.0.1:80` and `[::1]:80`; a pipe has no address.
impl PropValue for SocketAddr {
    fn decode(bytes: Vec<u8>) -> Option<Self> {
        std::str::from_utf8(&bytes).ok()?.parse().ok()
    }
}

impl<T: PropValue> Prop<T> {
    const fn new(path: &'static str) -> Prop<T> {
        Prop { path, value: PhantomData }
    }

    pub(crate) fn get(&self) -> Host<Option<T>> {
        match hostcalls::property(self.path.as_bytes())? {
            None => Ok(None),
            Some(bytes) => T::decode(bytes).map(Some).ok_or_else(hostcalls::malformed_property),
        }
    }
}

/// An attribute that is not listed here: path parts separated by NUL, the bytes as Envoy encodes them.
#[must_use]
pub const fn custom(path: &'static str) -> Prop<Vec<u8>> {
    Prop::new(path)
}

/// As [`custom`], with the type that Envoy gives it: `attribute::<f64>("xds\0route_metadata\0filter_metadata\0shop\0weight")`.
#[must_use]
pub const fn attribute<T: PropValue>(path: &'static str) -> Prop<T> {
    Prop::new(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn whatever_bytes_come_they_are_a_value_or_none(bytes: Vec<u8>) {
            prop_assert_eq!(u64::decode(bytes.clone()).is_some(), bytes.len() == 8);
            prop_assert_eq!(bool::decode(bytes.clone()).is_some(), bytes.len() == 1);
            prop_assert_eq!(f64::decode(bytes.clone()).is_some(), bytes.len() == 8);
            prop_assert!(Duration::decode(bytes.clone()).is_none_or(|time| time.as_nanos() < 1 << 63));
            prop_assert!(Vec::<Vec<u8>>::decode(bytes.clone()).is_none_or(|list| list.len() <= bytes.len()));
            prop_assert_eq!(Vec::<u8>::decode(bytes.clone()), Some(bytes));
        }

        #[test]
        fn numbers_come_back(number: i64) {
            let bytes = number.to_le_bytes().to_vec();
            prop_assert_eq!(i64::decode(bytes.clone()), Some(number));
            prop_assert_eq!(Wall::decode(bytes).map(|time| time.since_epoch().as_nanos()), u128::try_from(number).ok());
        }
    }

    #[test]
    fn lists_and_addresses_are_read_as_envoy_writes_them() {
        let list = [
            &2_u32.to_le_bytes()[..],
            &1_u32.to_le_bytes(),
            &[0; 4],
            &3_u32.to_le_bytes(),
            &[0; 4],
            b"a\0\0bcd\0\0",
        ]
        .concat();
        assert_eq!(Vec::<Vec<u8>>::decode(list), Some(vec![b"a".to_vec(), b"bcd".to_vec()]));
        for (text, read) in [("10.0.0.1:80", true), ("[::1]:80", true), ("/tmp/socket", false), ("", false)] {
            assert_eq!(SocketAddr::decode(text.into()).is_some(), read, "{text}");
        }
    }
}
