//! What `sfv` tells while it reads, put into our values.

use std::convert::Infallible;

use sfv::visitor::{
    DictionaryVisitor, EntryVisitor, InnerListVisitor, ItemVisitor, ListVisitor, ParameterVisitor,
};
use sfv::{BareItemFromInput, KeyRef};

use super::{Dictionary, InnerList, Item, List, MEMBERS, Member, NotStructured, PARAMETERS, Parameters};

/// Puts `value` under `key`: in the place of an equal key, which keeps its position (RFC 9651, 4.2.2). Whether there was one.
fn put<'a, T>(
    entries: &mut Vec<(&'a KeyRef, T)>,
    limit: usize,
    key: &'a KeyRef,
    value: T,
) -> Result<bool, NotStructured> {
    if let Some((_, old)) = entries.iter_mut().find(|(given, _)| *given == key) {
        *old = value;
        return Ok(true);
    }
    if entries.len() >= limit {
        return Err(NotStructured);
    }
    entries.push((key, value));
    Ok(false)
}

impl<'a> ParameterVisitor<'a> for &mut Parameters<'a> {
    type Out = ();
    type Error = NotStructured;

    fn parameter(&mut self, key: &'a KeyRef, value: BareItemFromInput<'a>) -> Result<(), NotStructured> {
        self.repetitive |= put(&mut self.entries, PARAMETERS, key, value)?;
        Ok(())
    }

    fn finish(self) -> Result<(), NotStructured> {
        Ok(())
    }
}

/// The one item of a field.
pub(super) struct Only<'t, 'a>(pub(super) &'t mut Option<Item<'a>>);

impl<'a> ItemVisitor<'a> for Only<'_, 'a> {
    type Out = ();
    type Error = Infallible;

    fn bare_item(
        self,
        bare: BareItemFromInput<'a>,
    ) -> Result<impl ParameterVisitor<'a, Out = ()>, Infallible> {
        Ok(&mut self.0.insert(Item { bare, parameters: Parameters::default() }).parameters)
    }
}

/// A place for one member of a list or dictionary.
struct Place<'t, 'a>(&'t mut Member<'a>);

impl<'a> ItemVisitor<'a> for Place<'_, 'a> {
    type Out = ();
    type Error = NotStructured;

    fn bare_item(
        self,
        bare: BareItemFromInput<'a>,
    ) -> Result<impl ParameterVisitor<'a, Out = ()>, NotStructured> {
        *self.0 = Member::Item(Item { bare, parameters: Parameters::default() });
        match self.0 {
            Member::Item(item) => Ok(&mut item.parameters),
            Member::InnerList(_) => Err(NotStructured),
        }
    }
}

impl<'a> EntryVisitor<'a> for Place<'_, 'a> {
    type Error = NotStructured;

    fn item(self) -> Result<impl ItemVisitor<'a>, NotStructured> {
        Ok(self)
    }

    fn inner_list(self) -> Result<impl InnerListVisitor<'a>, NotStructured> {
        *self.0 = Member::InnerList(InnerList::default());
        match self.0 {
            Member::InnerList(list) => Ok(list),
            Member::Item(_) => Err(NotStructured),
        }
    }
}

impl<'a> InnerListVisitor<'a> for &mut InnerList<'a> {
    type Error = NotStructured;

    fn item(&mut self) -> Result<impl ItemVisitor<'a>, NotStructured> {
        if self.items.len() >= PARAMETERS { Err(NotStructured) } else { Ok(Next(&mut self.items)) }
    }

    fn finish(self) -> Result<impl ParameterVisitor<'a>, NotStructured> {
        Ok(&mut self.parameters)
    }
}

/// The next item of an inner list.
struct Next<'t, 'a>(&'t mut Vec<Item<'a>>);

impl<'a> ItemVisitor<'a> for Next<'_, 'a> {
    type Out = ();
    type Error = NotStructured;

    fn bare_item(
        self,
        bare: BareItemFromInput<'a>,
    ) -> Result<impl ParameterVisitor<'a, Out = ()>, NotStructured> {
        self.0.push(Item { bare, parameters: Parameters::default() });
        self.0.last_mut().map(|item| &mut item.parameters).ok_or(NotStructured)
    }
}

/// Stands where a member is about to be read.
fn nothing<'a>() -> Member<'a> {
    Member::InnerList(InnerList::default())
}

impl<'a> DictionaryVisitor<'a> for Dictionary<'a> {
    type Out = Self;
    type Error = NotStructured;

    fn entry(&mut self, key: &'a KeyRef) -> Result<impl EntryVisitor<'a>, NotStructured> {
        self.repetitive |= put(&mut self.entries, MEMBERS, key, nothing())?;
        let place = self.entries.iter_mut().find(|(given, _)| *given == key);
        place.map(|(_, member)| Place(member)).ok_or(NotStructured)
    }

    fn finish(self) -> Result<Self, NotStructured> {
        Ok(self)
    }
}

impl<'a> ListVisitor<'a> for List<'a> {
    type Out = Self;
    type Error = NotStructured;

    fn entry(&mut self) -> Result<impl EntryVisitor<'a>, NotStructured> {
        if self.members.len() >= MEMBERS {
            return Err(NotStructured);
        }
        self.members.push(nothing());
        self.members.last_mut().map(Place).ok_or(NotStructured)
    }

    fn finish(self) -> Result<Self, NotStructured> {
        Ok(self)
    }
}
