//! The inspection itself: validate, then hold every import and export against the table of what Envoy's host has.

use super::{
    Allocator, CustomSection, MemoryLimits, ModuleInfo, Pages, Problem, Producer, Start, truncation,
};
use crate::vm::import_table::{self, AbiType, AbiVersion, Callback, Import};
use wasmparser::types::{EntityType, Types, TypesRef};
use wasmparser::{FuncType, KnownCustom, Parser, Payload, ValType, Validator};

/// The module as Envoy would see it, or all that is wrong with it.
pub(super) fn inspect(bytes: &[u8], name: &str) -> Result<ModuleInfo, Vec<Problem>> {
    let types = validate(bytes).map_err(|problem| vec![problem])?;
    let types = types.as_ref();
    let sections = read_sections(bytes).map_err(|problem| vec![problem])?;
    let mut problems = Vec::new();

    let abi = abi_version(&types);
    if abi.is_none() {
        problems.push(Problem::NoAbiVersion { found: unknown_marker(&types) });
    }
    let imports = check_imports(&types, abi, &mut problems);
    let callbacks = check_callbacks(&types, abi, &mut problems);
    let start = check_start(&types, sections.start, &mut problems);
    let allocator = check_allocator(&types, &mut problems);
    let memory = check_memory(&types, &mut problems);

    match (abi, allocator) {
        (Some(abi), Some(allocator)) if problems.is_empty() => Ok(ModuleInfo {
            name: name.to_owned(),
            len: bytes.len(),
            abi,
            imports: imports.functions,
            imports_memory: imports.memory,
            imports_table: imports.table,
            exports: functions(&types).map(|(name, _)| name.to_owned()).collect(),
            callbacks,
            allocator,
            start,
            memory,
            own_name: sections.own_name,
            producers: sections.producers,
            custom_sections: sections.custom,
        }),
        _ => Err(problems),
    }
}

/// What stops all further reading.
fn validate(bytes: &[u8]) -> Result<Types, Problem> {
    const MAGIC: &[u8] = b"\0asm";
    if bytes.is_empty() {
        return Err(Problem::Empty);
    }
    let start = bytes.get(..MAGIC.len()).unwrap_or(bytes);
    if !MAGIC.starts_with(start) {
        return Err(Problem::NotWasm { first: bytes.iter().take(8).copied().collect() });
    }
    if Parser::is_component(bytes) {
        return Err(Problem::Component);
    }
    truncation::find_cut(bytes)?;
    Validator::new().validate_all(bytes).map_err(malformed)
}

fn malformed(error: wasmparser::Error) -> Problem {
    Problem::Malformed { offset: error.offset(), message: error.message().to_owned() }
}

/// What the validator does not keep.
#[derive(Default)]
struct Sections {
    start: bool,
    own_name: Option<String>,
    producers: Vec<Producer>,
    custom: Vec<CustomSection>,
}

fn read_sections(bytes: &[u8]) -> Result<Sections, Problem> {
    let mut sections = Sections::default();
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(malformed)? {
            Payload::StartSection { .. } => sections.start = true,
            Payload::CustomSection(section) => match section.as_known() {
                // A broken custom section breaks no module: what can be read of it is taken.
                KnownCustom::Name(names) => {
                    sections.own_name = names.into_iter().flatten().find_map(|name| match name {
                        wasmparser::Name::Module { name, .. } => Some(name.to_owned()),
                        _ => None,
                    });
                }
                KnownCustom::Producers(fields) => sections.producers = read_producers(fields),
                _ => sections
                    .custom
                    .push(CustomSection { name: section.name().to_owned(), len: section.data().len() }),
            },
            _ => {}
        }
    }
    Ok(sections)
}

fn read_producers(fields: wasmparser::ProducersSectionReader<'_>) -> Vec<Producer> {
    let mut producers = Vec::new();
    for field in fields.into_iter().flatten() {
        producers.extend(field.values.into_iter().flatten().map(|value| Producer {
            field: field.name.to_owned(),
            name: value.name.to_owned(),
            version: value.version.to_owned(),
        }));
    }
    producers
}

/// Exported functions in the order of the file.
fn functions<'a>(types: &'a TypesRef<'a>) -> impl Iterator<Item = (&'a str, &'a FuncType)> {
    exports(types).filter_map(|(name, entity)| Some((name, function_type(types, entity)?)))
}

fn exports<'a>(types: &'a TypesRef<'a>) -> impl Iterator<Item = (&'a str, EntityType)> {
    types.core_exports().into_iter().flatten()
}

fn function(types: &TypesRef<'_>, name: &str) -> Option<FuncType> {
    functions(types).find(|(export, _)| *export == name).map(|(_, found)| found.clone())
}

fn function_type<'a>(types: &'a TypesRef<'a>, entity: EntityType) -> Option<&'a FuncType> {
    match entity {
        EntityType::Func(id) | EntityType::FuncExact(id) => match &types[id].composite_type.inner {
            wasmparser::CompositeInnerType::Func(found) => Some(found),
            _ => None,
        },
        _ => None,
    }
}

fn abi_version(types: &TypesRef<'_>) -> Option<AbiVersion> {
    functions(types).find_map(|(name, _)| AbiVersion::from_marker(name))
}

fn unknown_marker(types: &TypesRef<'_>) -> Option<String> {
    functions(types)
        .map(|(name, _)| name)
        .find(|name| name.starts_with("proxy_abi_version_"))
        .map(str::to_owned)
}

#[derive(Default)]
struct Imports {
    functions: Vec<&'static Import>,
    memory: bool,
    table: bool,
}

fn check_imports(types: &TypesRef<'_>, abi: Option<AbiVersion>, problems: &mut Vec<Problem>) -> Imports {
    let mut imports = Imports::default();
    for (module, name, entity) in types.core_imports().into_iter().flatten() {
        let kind = match entity {
            EntityType::Func(_) | EntityType::FuncExact(_) => {
                let Some(found) = function_type(types, entity) else {
                    continue;
                };
                match check_import(module, name, found, abi) {
                    Ok(import) if imports.functions.iter().any(|known| std::ptr::eq(*known, import)) => {}
                    Ok(import) => imports.functions.push(import),
                    Err(problem) => problems.push(problem),
                }
                continue;
            }
            EntityType::Memory(_) if !std::mem::replace(&mut imports.memory, true) => continue,
            EntityType::Table(_) if !std::mem::replace(&mut imports.table, true) => continue,
            EntityType::Memory(_) => "second memory",
            EntityType::Table(_) => "second table",
            EntityType::Global(_) => "global",
            EntityType::Tag(_) => "tag",
        };
        problems.push(Problem::ImportKind { module: module.to_owned(), name: name.to_owned(), kind });
    }
    imports
}

/// Without a version (which is a problem of its own) an import of any version is taken, so that one mistake is not listed
/// thirty times.
fn check_import(
    module: &str,
    name: &str,
    found: &FuncType,
    abi: Option<AbiVersion>,
) -> Result<&'static Import, Problem> {
    let known = import_table::find(module, name).filter(|import| abi.is_none_or(|abi| import.exists_in(abi)));
    let Some(import) = known else {
        return Err(Problem::UnknownImport {
            module: module.to_owned(),
            name: name.to_owned(),
            signature: shown(found.params(), found.results()),
            abi,
        });
    };
    let expected = (value_types(import.params), value_types(import.results));
    if found.params() != expected.0.as_slice() || found.results() != expected.1.as_slice() {
        return Err(Problem::ImportType {
            module: module.to_owned(),
            name: name.to_owned(),
            found: shown(found.params(), found.results()),
            expected: shown(&expected.0, &expected.1),
        });
    }
    Ok(import)
}

fn check_callbacks(
    types: &TypesRef<'_>,
    abi: Option<AbiVersion>,
    problems: &mut Vec<Problem>,
) -> Vec<&'static Callback> {
    let abi = abi.unwrap_or(AbiVersion::V0_2_1);
    let mut callbacks = Vec::new();
    for (name, found) in functions(types) {
        let Some(callback) = import_table::find_callback(name, abi) else {
            continue;
        };
        match check_words(callback.name, found, callback.params, callback.answers, Some(abi)) {
            Ok(()) => callbacks.push(callback),
            Err(problem) => problems.push(problem),
        }
    }
    callbacks
}

/// Checks an export that takes `params` words and answers with one or none.
fn check_words(
    name: &'static str,
    found: &FuncType,
    params: usize,
    answers: bool,
    abi: Option<AbiVersion>,
) -> Result<(), Problem> {
    let expected = (vec![ValType::I32; params], vec![ValType::I32; usize::from(answers)]);
    if found.params() == expected.0.as_slice() && found.results() == expected.1.as_slice() {
        return Ok(());
    }
    Err(Problem::CallbackType {
        name,
        found: shown(found.params(), found.results()),
        expected: shown(&expected.0, &expected.1),
        abi,
    })
}

fn check_start(types: &TypesRef<'_>, section: bool, problems: &mut Vec<Problem>) -> Start {
    const REACTOR: [(&str, usize, bool); 3] =
        [("_initialize", 0, false), ("main", 2, true), ("__main_void", 0, true)];
    const COMMAND: [(&str, usize, bool); 1] = [("_start", 0, false)];
    let looked_up: &[_] = if function(types, "_initialize").is_some() { &REACTOR } else { &COMMAND };
    let mut calls = Vec::new();
    for &(name, params, answers) in looked_up {
        let Some(found) = function(types, name) else {
            continue;
        };
        match check_words(name, &found, params, answers, None) {
            // The host calls one `main`, not both.
            Ok(()) if name == "__main_void" && calls.contains(&"main") => {}
            Ok(()) => calls.push(name),
            Err(problem) => problems.push(problem),
        }
    }
    Start { section, calls }
}

fn check_allocator(types: &TypesRef<'_>, problems: &mut Vec<Problem>) -> Option<Allocator> {
    let found = [Allocator::Malloc, Allocator::ProxyOnMemoryAllocate]
        .into_iter()
        .find_map(|allocator| Some((allocator, function(types, allocator.export())?)));
    let Some((allocator, found)) = found else {
        problems.push(Problem::NoAllocator);
        return None;
    };
    match check_words(allocator.export(), &found, 1, true, None) {
        Ok(()) => Some(allocator),
        Err(problem) => {
            problems.push(problem);
            None
        }
    }
}

/// The memory the host works on: the last exported one, else the imported one. None may begin larger than Envoy allows.
fn check_memory(types: &TypesRef<'_>, problems: &mut Vec<Problem>) -> Option<MemoryLimits> {
    for memory in (0..types.memory_count()).map(|index| types.memory_at(index)) {
        if memory.initial > MAX_INITIAL.0 {
            problems.push(Problem::MemoryTooLarge { pages: memory.initial });
        }
    }
    let memory = |entity| match entity {
        EntityType::Memory(memory) => Some(memory),
        _ => None,
    };
    let exported = exports(types).filter_map(|(_, entity)| memory(entity)).last();
    let imported = || types.core_imports().into_iter().flatten().find_map(|(_, _, entity)| memory(entity));
    let memory = exported.or_else(imported)?;
    Some(MemoryLimits { initial: Pages(memory.initial), maximum: memory.maximum.map(Pages) })
}

/// What Envoy 1.40's V8 gives: 1 GiB.
const MAX_INITIAL: Pages = Pages(16 * 1024);

fn value_types(types: &[AbiType]) -> Vec<ValType> {
    types
        .iter()
        .map(|one| match one {
            AbiType::I32 => ValType::I32,
            AbiType::I64 => ValType::I64,
        })
        .collect()
}

/// `(i32, i64) -> i32`
fn shown(params: &[ValType], results: &[ValType]) -> String {
    let list = |types: &[ValType]| types.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    match results {
        [] => format!("({}) -> nothing", list(params)),
        [one] => format!("({}) -> {one}", list(params)),
        more => format!("({}) -> ({})", list(params), list(more)),
    }
}
