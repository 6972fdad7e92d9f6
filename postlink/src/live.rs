//! What is in reach of the exports that stay.

use crate::PostlinkError;
use crate::read::Module;
use wasmparser::ExternalKind;

/// The new number of everything that stays, by its old one.
#[derive(Debug)]
pub(crate) struct Live<'a> {
    pub(crate) exports: Vec<&'a str>,
    pub(crate) functions: Vec<Option<u32>>,
    pub(crate) types: Vec<Option<u32>>,
}

impl<'a> Live<'a> {
    pub(crate) fn of(module: &Module<'a>, keep: impl Fn(&&'a str) -> bool) -> Result<Self, PostlinkError> {
        let all = module.imported.len() + module.functions.len();
        let (mut functions, mut types) = (vec![false; all], vec![false; index(module.types)]);
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
            if std::mem::replace(at(&mut functions, number)?, true) {
                continue;
            }
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
        Ok(Self { exports, functions: numbered(&functions), types: numbered(&types) })
    }
}

fn index(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn at(marks: &mut [bool], number: u32) -> Result<&mut bool, PostlinkError> {
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
