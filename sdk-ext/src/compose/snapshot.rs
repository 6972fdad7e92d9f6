//! What the filters of one module see of a message together: its headers are fetched once a callback, and kept as later
//! filters would find them.

use crate::headers::HeaderBlock;
use crate::hostcalls::{Buffer, Map};
use std::cell::{Cell, RefCell};

/// An edit that Envoy took.
enum Edit {
    Set(Vec<u8>, Vec<u8>),
    Append(Vec<u8>, Vec<u8>),
    Remove(Vec<u8>),
}

/// A header map as it was fetched, and what became of it since.
struct Kept {
    map: Map,
    block: HeaderBlock,
    edits: Vec<Edit>,
}

thread_local! {
    /// Whether filters share a callback now. Never set in a module of one filter, which so has no code for any of this.
    static SHARED: Cell<bool> = const { Cell::new(false) };
    static KEPT: RefCell<Option<Kept>> = const { RefCell::new(None) };
    /// Of the chunk the callback is for.
    static BODY: Cell<usize> = const { Cell::new(0) };
}

pub(super) fn begin(body_size: usize) {
    forget();
    BODY.set(body_size);
    SHARED.set(true);
}

pub(super) fn end() {
    SHARED.set(false);
    forget();
}

fn forget() {
    let kept = KEPT.take();
    drop(kept);
}

pub(super) fn body_size() -> usize {
    BODY.get()
}

/// The map as it is now, if that is known.
pub(crate) fn known(map: Map) -> Option<HeaderBlock> {
    if !SHARED.get() {
        return None;
    }
    let mut kept = KEPT.take().filter(|kept| kept.map == map)?;
    let edits = std::mem::take(&mut kept.edits);
    if !edits.is_empty() {
        // Where it cannot be told what Envoy made of an edit, the map is fetched again.
        kept.block = edited(&kept.block, &edits)?;
    }
    let block = kept.block.clone();
    KEPT.set(Some(kept));
    Some(block)
}

pub(crate) fn keep(map: Map, block: &HeaderBlock) {
    if SHARED.get() {
        let before = KEPT.replace(Some(Kept { map, block: block.clone(), edits: Vec::new() }));
        drop(before);
    }
}

fn record(map: Map, taken: bool, edit: impl FnOnce() -> Edit) {
    if SHARED.get() {
        KEPT.with_borrow_mut(|slot| match slot {
            Some(kept) if kept.map == map && taken => kept.edits.push(edit()),
            Some(kept) if kept.map == map => *slot = None,
            _ => {}
        });
    }
}

pub(crate) fn set(map: Map, name: &[u8], value: &[u8], taken: bool) {
    record(map, taken, || Edit::Set(name.to_vec(), value.to_vec()));
}

pub(crate) fn appended(map: Map, name: &[u8], value: &[u8], taken: bool) {
    record(map, taken, || Edit::Append(name.to_vec(), value.to_vec()));
}

pub(crate) fn removed(map: Map, name: &[u8], taken: bool) {
    record(map, taken, || Edit::Remove(name.to_vec()));
}

/// Bytes of the chunk were replaced: by Envoy's rules at its start, or all behind its end.
pub(crate) fn resized(kind: Buffer, start: usize, size: usize, by: usize) {
    if SHARED.get() && matches!(kind, Buffer::RequestBody | Buffer::ResponseBody) {
        let gone = if start == 0 { size } else { 0 };
        BODY.set(BODY.get().saturating_sub(gone).saturating_add(by));
    }
}

/// What Envoy makes of these edits: setting removes all entries of the name and adds one behind the others, pseudo headers
/// stand before all others. `None` where that depends on the name: adding to a header that is there joins the values of
/// some.
fn edited(block: &HeaderBlock, edits: &[Edit]) -> Option<HeaderBlock> {
    let mut entries: Vec<(&[u8], &[u8])> = block.iter().collect();
    for edit in edits {
        match edit {
            Edit::Set(name, value) => {
                entries.retain(|(other, _)| other != name);
                add(&mut entries, name, value);
            }
            Edit::Append(name, value) => {
                if entries.iter().any(|(other, _)| other == name) {
                    return None;
                }
                add(&mut entries, name, value);
            }
            Edit::Remove(name) => entries.retain(|(other, _)| other != name),
        }
    }
    Some(HeaderBlock::from_pairs(entries))
}

fn add<'a>(entries: &mut Vec<(&'a [u8], &'a [u8])>, name: &'a [u8], value: &'a [u8]) {
    let is_pseudo = |name: &[u8]| name.first() == Some(&b':');
    let place = match is_pseudo(name) {
        true => entries.iter().position(|(other, _)| !is_pseudo(other)),
        false => None,
    };
    entries.insert(place.unwrap_or(entries.len()), (name, value));
}
