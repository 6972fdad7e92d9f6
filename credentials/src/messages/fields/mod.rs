//! Structured fields (RFC 9651), read by the library `sfv` into values that borrow from the text.
//!
//! Where the RFC lets the last of two equal keys count, this keeps the last and says so ([`Dictionary::is_repetitive`]): two readers of a
//! signature must not find different ones.

mod visitors;
mod write;

use sfv::{BareItemFromInput, KeyRef, Parser};

/// A bare item: integer, decimal, string, token, byte sequence, boolean, date or display string.
pub type Bare<'a> = BareItemFromInput<'a>;

/// How many members a dictionary or list may have, the least that RFC 9651, 3.1 and 3.2 demand of a reader.
const MEMBERS: usize = 1024;
/// How many parameters, or items of an inner list: RFC 9651, 3.1.1 and 3.1.2.
const PARAMETERS: usize = 256;

/// Parameters in their order.
#[derive(Debug, Default, PartialEq)]
pub struct Parameters<'a> {
    entries: Vec<(&'a KeyRef, Bare<'a>)>,
    repetitive: bool,
}

#[derive(Debug, PartialEq)]
pub struct Item<'a> {
    pub bare: Bare<'a>,
    pub parameters: Parameters<'a>,
}

#[derive(Debug, Default, PartialEq)]
pub struct InnerList<'a> {
    pub items: Vec<Item<'a>>,
    pub parameters: Parameters<'a>,
}

/// What a list or a dictionary has.
#[derive(Debug, PartialEq)]
pub enum Member<'a> {
    Item(Item<'a>),
    InnerList(InnerList<'a>),
}

/// Members by key, in their order.
#[derive(Debug, Default, PartialEq)]
pub struct Dictionary<'a> {
    entries: Vec<(&'a KeyRef, Member<'a>)>,
    repetitive: bool,
}

#[derive(Debug, Default, PartialEq)]
pub struct List<'a> {
    pub members: Vec<Member<'a>>,
}

/// The text is no such structured field, or has more members than are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a structured field of this type")]
pub struct NotStructured;

impl<'a> Dictionary<'a> {
    /// # Errors
    /// [`NotStructured`].
    pub fn parse(text: &'a [u8]) -> Result<Self, NotStructured> {
        Parser::new(text).parse_dictionary_with_visitor(Self::default()).map_err(|_| NotStructured)
    }

    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Member<'a>> {
        self.iter().find(|(given, _)| *given == key).map(|(_, member)| member)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &Member<'a>)> {
        self.entries.iter().map(|(key, member)| (key.as_str(), member))
    }

    /// Whether a key occurs twice, here or among the parameters of a member.
    #[must_use]
    pub fn is_repetitive(&self) -> bool {
        self.repetitive || self.entries.iter().any(|(_, member)| member.is_repetitive())
    }
}

impl<'a> List<'a> {
    /// # Errors
    /// [`NotStructured`].
    pub fn parse(text: &'a [u8]) -> Result<Self, NotStructured> {
        Parser::new(text).parse_list_with_visitor(Self::default()).map_err(|_| NotStructured)
    }
}

impl<'a> Item<'a> {
    /// # Errors
    /// [`NotStructured`].
    pub fn parse(text: &'a [u8]) -> Result<Self, NotStructured> {
        let mut item = None;
        Parser::new(text).parse_item_with_visitor(visitors::Only(&mut item)).map_err(|_| NotStructured)?;
        item.ok_or(NotStructured)
    }

    /// The text of an item that is a string.
    #[must_use]
    pub fn string(&self) -> Option<&str> {
        self.bare.as_string().map(sfv::StringRef::as_str)
    }
}

impl Member<'_> {
    fn is_repetitive(&self) -> bool {
        match self {
            Self::Item(item) => item.parameters.repetitive,
            Self::InnerList(list) => {
                list.parameters.repetitive || list.items.iter().any(|item| item.parameters.repetitive)
            }
        }
    }
}

impl<'a> Parameters<'a> {
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Bare<'a>> {
        self.iter().find(|(given, _)| *given == key).map(|(_, value)| value)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &Bare<'a>)> {
        self.entries.iter().map(|(key, value)| (key.as_str(), value))
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}
