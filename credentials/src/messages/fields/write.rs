//! Structured fields written as RFC 9651, 4.1 has them.

use sfv::{DictSerializer, InnerListSerializer, ItemSerializer, ListSerializer, ParameterSerializer};

use super::{Dictionary, InnerList, Item, List, Member, Parameters};

fn parameters(text: ParameterSerializer<&mut String>, parameters: &Parameters<'_>) {
    let _ = text.parameters(parameters.entries.iter().map(|(key, value)| (*key, value)));
}

fn inner_list(mut text: InnerListSerializer<'_>, list: &InnerList<'_>) {
    for item in &list.items {
        parameters(text.bare_item(&item.bare), &item.parameters);
    }
    parameters(text.finish(), &list.parameters);
}

impl Item<'_> {
    /// Puts the item behind `text`.
    pub fn write(&self, text: &mut String) {
        parameters(ItemSerializer::with_buffer(text).bare_item(&self.bare), &self.parameters);
    }
}

impl InnerList<'_> {
    /// Puts the inner list behind `text`.
    pub fn write(&self, text: &mut String) {
        inner_list(ListSerializer::with_buffer(text).inner_list(), self);
    }
}

impl Member<'_> {
    /// Puts the member's value behind `text`; of a boolean member of a dictionary that is `?1`.
    pub fn write(&self, text: &mut String) {
        match self {
            Self::Item(item) => item.write(text),
            Self::InnerList(list) => list.write(text),
        }
    }
}

impl List<'_> {
    pub fn write(&self, text: &mut String) {
        let mut list = ListSerializer::with_buffer(text);
        for member in &self.members {
            match member {
                Member::Item(item) => parameters(list.bare_item(&item.bare), &item.parameters),
                Member::InnerList(inner) => inner_list(list.inner_list(), inner),
            }
        }
        let _ = list.finish();
    }
}

impl Dictionary<'_> {
    pub fn write(&self, text: &mut String) {
        let mut dictionary = DictSerializer::with_buffer(text);
        for (key, member) in &self.entries {
            match member {
                Member::Item(item) => parameters(dictionary.bare_item(key, &item.bare), &item.parameters),
                Member::InnerList(inner) => inner_list(dictionary.inner_list(key), inner),
            }
        }
        let _ = dictionary.finish();
    }
}
