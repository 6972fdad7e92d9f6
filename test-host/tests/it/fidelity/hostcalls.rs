//! Hostcall × callback × status, from the ledgers.

use std::{collections::BTreeMap, fmt::Write as _};

use wayside::vm::import_table::{AbiVersion, IMPORTS, Import};

use super::tables::{Shown, shown};
use crate::behaviours::Ran;

/// Names of what Proxy-Wasm's functions answer.
const STATUSES: [&str; 13] = [
    "Ok",
    "NotFound",
    "BadArgument",
    "SerializationFailure",
    "ParseFailure",
    "BadExpression",
    "InvalidMemoryAccess",
    "Empty",
    "CasMismatch",
    "ResultMismatch",
    "InternalFailure",
    "BrokenConnection",
    "Unimplemented",
];
/// Names of what WASI's functions answer here.
const ERRNOS: [(u32, &str); 9] = [
    (0, "success"),
    (8, "badf"),
    (21, "fault"),
    (28, "inval"),
    (44, "noent"),
    (52, "nosys"),
    (58, "notsup"),
    (63, "perm"),
    (76, "notcapable"),
];

/// By hostcall, callback and status: the behaviours that show it.
type Rows<'a> = BTreeMap<(&'static str, &'static str, u32), Vec<&'a Ran>>;

fn rows(runs: &[Ran]) -> Rows<'_> {
    let mut rows = Rows::new();
    for ran in runs {
        for ((hostcall, callback), numbers) in &ran.ledger.answers {
            for number in numbers {
                rows.entry((hostcall, callback, *number)).or_default().push(ran);
            }
        }
    }
    rows
}

/// Every function once, whichever of its modules it stands in.
fn imports() -> impl Iterator<Item = &'static Import> {
    IMPORTS.iter().filter(|import| import.module != "wasi_unstable")
}

/// Those that nothing calls, or that are only linked.
pub(super) fn missing(runs: &[Ran]) -> Vec<&'static str> {
    let rows = rows(runs);
    let is_there = |name: &str| {
        let called = rows.keys().any(|(hostcall, ..)| *hostcall == name);
        called && !runs.iter().any(|ran| ran.ledger.unimplemented.contains(name))
    };
    imports().map(|import| import.name).filter(|name| !is_there(name)).collect()
}

pub(super) fn write(text: &mut String, runs: &[Ran]) {
    let rows = rows(runs);
    let missing = missing(runs);
    text.push_str(
        "| hostcall | callback | status | state | shown by | in Envoy |\n|---|---|---|---|---|---|\n",
    );
    for import in imports() {
        let name = import.name;
        let versions = versions(import);
        let of_import = rows.iter().filter(|((hostcall, ..), _)| *hostcall == name);
        if missing.contains(&name) {
            let _ = writeln!(text, "| `{name}`{versions} | – | – | **not** | – | – |");
            continue;
        }
        for ((_, callback, number), behaviours) in of_import {
            let Shown { state, by, in_envoy } = shown(behaviours);
            let status = status(import, *number);
            let _ = writeln!(
                text,
                "| `{name}`{versions} | {callback} | {status} | {state} | {by} | {in_envoy} |"
            );
        }
    }
}

fn versions(import: &Import) -> String {
    if import.versions.len() == AbiVersion::ALL.len() {
        return String::new();
    }
    let versions: Vec<String> = import.versions.iter().map(ToString::to_string).collect();
    format!(" ({})", versions.join(", "))
}

fn status(import: &Import, number: u32) -> String {
    let name = match import.module {
        "env" if import.name.starts_with("proxy_") || import.name.starts_with("envoy_") => {
            STATUSES.get(number as usize).copied()
        }
        "env" => None,
        _ => ERRNOS.iter().find(|(errno, _)| *errno == number).map(|(_, name)| *name),
    };
    name.map_or_else(|| number.to_string(), |name| format!("{number} {name}"))
}
