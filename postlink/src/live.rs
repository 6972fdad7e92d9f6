//! What is in reach of the exports that stay.

use crate::read::Module;
use crate::{PostlinkError, twins};
use std::cmp::Reverse;
use wasmparser::ExternalKind;

/// The new number of everything that stays, by its old one. Functions that do the same have the same.
#[derive(Debug)]
pub(crate) struct Live<'a> {
    pub(crate) exports: Vec<&'a str>,
    pub(crate) functions: Vec<Option<u32>>,
    /// The old numbers of functions with code, in the order of the new ones.
    pub(crate) order: Vec<u32>,
    pub(crate) types: Vec<Option<u32>>,
}

impl<'a> Live<'a> {
    pub(crate) fn of(module: &Module<'a>, keep: impl Fn(&&'a str) -> bool) -> Result<Self, PostlinkError> {
        let first = twins::first_of_each(module);
        // How often each is named by what is in reach: `None` while it is not.
        let (mut uses, mut types) = (vec![None; first.len()], vec![false; index(module.types)]);
        let mut queue = module.roots.clone();
        let mut exports = Vec::new();
        for (name, kind, number) in &module.exports {
            if keep(name) {
                exports.push(*name);
                if *kind == ExternalKind::Func {
                    queue.push(*number);
                }
            }
        }
        while let Some(number) = queue.pop() {
            let number = first.get(index(number)).copied().unwrap_or(number);
            let uses: &mut Option<u32> = at(&mut uses, number)?;
            if let Some(uses) = uses {
                *uses = uses.saturating_add(1);
                continue;
            }
            *uses = Some(1);
            match module.function(number) {
                Some(function) => {
                    *at(&mut types, function.type_index)? = true;
                    for number in &function.types {
                        *at(&mut types, *number)? = true;
                    }
                    queue.extend(&function.calls);
                }
                None => {
                    let type_index = module.imported.get(index(number)).copied().unwrap_or_default();
                    *at(&mut types, type_index)? = true;
                }
            }
        }
        let uses = |number: u32| uses.get(index(number)).copied().flatten();
        let mut order: Vec<u32> = (0..).take(first.len()).skip(module.imported.len()).collect();
        order.retain(|number| uses(*number).is_some());
        // Numbers up to 127 take one byte where they are named.
        order.sort_by_key(|number| Reverse(uses(*number)));
        let imported = (0..).take(module.imported.len()).filter(|number| uses(*number).is_some());
        let mut numbers = vec![None; first.len()];
        for (new, old) in (0..).zip(imported.chain(order.iter().copied())) {
            *at(&mut numbers, old)? = Some(new);
        }
        let functions = first.iter().map(|first| numbers.get(index(*first)).copied().flatten()).collect();
        Ok(Self { exports, functions, order, types: numbered(&types) })
    }
}

fn index(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn at<T>(marks: &mut [T], number: u32) -> Result<&mut T, PostlinkError> {
    let beyond = || PostlinkError::Malformed(format!("{number} numbers nothing"));
    marks.get_mut(index(number)).ok_or_else(beyond)
}

fn numbered(marks: &[bool]) -> Vec<Option<u32>> {
    let mut next = 0;
    let number = |live: &bool| {
        live.then(|| {
            next += 1;
            next - 1
        })
    };
    marks.iter().map(number).collect()
}
