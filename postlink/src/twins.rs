//! Functions whose code is the same: a compiler makes many for types that are alike once they are bytes.

use crate::read::Module;
use std::collections::HashMap;

/// For each function the first that does the same, which may be itself. Whoever is called counts as the one that stands for it, so
/// that callers of twins are twins in the next round.
pub(crate) fn first_of_each(module: &Module<'_>) -> Vec<u32> {
    let imported = u32::try_from(module.imported.len()).unwrap_or(u32::MAX);
    let all = imported.saturating_add(u32::try_from(module.functions.len()).unwrap_or(u32::MAX));
    let mut first: Vec<u32> = (0..all).collect();
    loop {
        let mut known = HashMap::new();
        let standing_for = |number: &u32| usize::try_from(*number).ok().and_then(|at| first.get(at)).copied();
        let code = (imported..all).zip(&module.functions).map(|(number, function)| {
            let calls: Vec<_> = function.calls.iter().map(standing_for).collect();
            *known.entry((function.type_index, &function.shape, calls)).or_insert(number)
        });
        let next: Vec<u32> = (0..imported).chain(code).collect();
        if next == first {
            return first;
        }
        first = next;
    }
}
