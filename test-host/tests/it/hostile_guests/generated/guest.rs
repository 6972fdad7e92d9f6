//! One guest that makes whatever hostcalls its VM configuration lists, so that a fuzzer needs no compiler.
//!
//! The configuration is a list of records of [`RECORD`] bytes: the callback it is for, what to do, and up to
//! [`ARGUMENTS`] arguments; what follows the list's end is copied to [`POOL`], where arguments may point.

use std::{fmt::Write as _, sync::LazyLock};

use wayside::vm::import_table::{AbiType, AbiVersion, CALLBACKS, IMPORTS, Import};

pub(crate) const ARGUMENTS: usize = 12;
/// Callback, operation, two bytes of padding, the number of records to come (first record only), arguments.
pub(crate) const RECORD: usize = 8 + ARGUMENTS * 8;
/// Where the pool lies in the guest's memory, and how long it may be.
pub(crate) const POOL: u32 = 1024;
pub(crate) const POOL_BYTES: usize = 8 * 1024;
/// Linear memory at the start: what lies beyond is outside.
pub(crate) const MEMORY: u32 = 4 * 65536;
/// A log line of the guest that tells what a hostcall answered begins with this byte; then operation and status.
pub(crate) const TELLS: u8 = 0xfe;

/// What a record can ask for besides hostcalls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Own {
    Answer = 200,
    Trap,
    Loop,
    Grow,
    Store,
    Allocator,
    Recurse,
    Divide,
    CallNothing,
    OutOfBounds,
}

impl Own {
    pub(crate) const ALL: [Own; 10] = [
        Own::Answer,
        Own::Trap,
        Own::Loop,
        Own::Grow,
        Own::Store,
        Own::Allocator,
        Own::Recurse,
        Own::Divide,
        Own::CallNothing,
        Own::OutOfBounds,
    ];
}

/// The imports of a guest of this version; a record's operation is a place in this list.
pub(crate) fn imports(version: AbiVersion) -> Vec<&'static Import> {
    let wasi = if version == AbiVersion::V0_1_0 { "wasi_unstable" } else { "wasi_snapshot_preview1" };
    IMPORTS
        .iter()
        .filter(|import| import.exists_in(version) && (import.module == "env" || import.module == wasi))
        .collect()
}

/// The callbacks that it exports; a record's callback is a place in this list.
pub(crate) fn callbacks(version: AbiVersion) -> Vec<&'static wayside::vm::import_table::Callback> {
    CALLBACKS.iter().filter(|callback| callback.versions.contains(&version)).collect()
}

static OLD: LazyLock<Vec<u8>> = LazyLock::new(|| build(AbiVersion::V0_1_0));
static NEW: LazyLock<Vec<u8>> = LazyLock::new(|| build(AbiVersion::V0_2_1));

pub(crate) fn wasm(version: AbiVersion) -> &'static [u8] {
    if version == AbiVersion::V0_1_0 { &OLD } else { &NEW }
}

/// Modules to begin mutating with.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    vec![OLD.clone(), NEW.clone()]
}

fn build(version: AbiVersion) -> Vec<u8> {
    wat::parse_str(text(version)).expect("the guest is well-formed")
}

fn text(version: AbiVersion) -> String {
    let imports = imports(version);
    let mut text = String::from("(module\n");
    for (at, import) in imports.iter().enumerate() {
        let params: String = import.params.iter().map(|kind| format!(" {}", word(*kind))).collect();
        let result = if import.results.is_empty() { "" } else { "(result i32)" };
        let Import { module, name, .. } = import;
        let _ = writeln!(text, "(import \"{module}\" \"{name}\" (func $i{at} (param{params}) {result}))");
    }
    let log = imports.iter().position(|import| import.name == "proxy_log").expect("every version logs");
    let buffer = imports.iter().position(|import| import.name == "proxy_get_buffer_bytes").expect("it reads");
    let _ = writeln!(
        text,
        r#"(memory (export "memory") 4) (table 1 funcref) (type $nothing (func))
        (global $script (mut i32) (i32.const 0)) (global $records (mut i32) (i32.const 0))
        (global $free (mut i32) (i32.const 65536)) (global $mode (mut i32) (i32.const 0))
        (global $answer (mut i32) (i32.const 0)) (global $loaded (mut i32) (i32.const 0))
        (func (export "{marker}"))
        {allocator}
        (func $tell (param $op i32) (param $status i32)
            (i32.store8 (i32.const 64) (i32.const {TELLS})) (i32.store8 (i32.const 65) (local.get $op))
            (i32.store8 (i32.const 66) (local.get $status))
            (drop (call $i{log} (i32.const 2) (i32.const 64) (i32.const 3))))
        (func $load (local $len i32)
            (if (global.get $loaded) (then (return))) (global.set $loaded (i32.const 1))
            (drop (call $i{buffer} (i32.const 6) (i32.const 0) (i32.const 60000) (i32.const 8) (i32.const 12)))
            (global.set $script (i32.load (i32.const 8))) (local.set $len (i32.load (i32.const 12)))
            (if (i32.lt_u (local.get $len) (i32.const {RECORD})) (then (return)))
            (global.set $records (i32.load offset=4 (global.get $script)))
            (memory.copy (i32.const {POOL})
                (i32.add (global.get $script) (i32.mul (global.get $records) (i32.const {RECORD})))
                (i32.sub (local.get $len) (i32.mul (global.get $records) (i32.const {RECORD})))))
        (func $recurse (call $recurse) (call $recurse))
        (func $run (param $callback i32) (result i32) (local $at i32) (local $record i32) (local $for i32)
            (call $load) (global.set $answer (i32.const 0))
            (block $done (loop $next
                (br_if $done (i32.ge_u (local.get $at) (global.get $records)))
                (local.set $record (i32.add (global.get $script) (i32.mul (local.get $at) (i32.const {RECORD}))))
                (if (i32.eq (i32.load8_u (local.get $record)) (local.get $callback))
                    (then (call $do (local.get $record) (i32.load8_u offset=1 (local.get $record)))))
                (local.set $at (i32.add (local.get $at) (i32.const 1))) (br $next)))
            (global.get $answer))"#,
        marker = version.marker(),
        allocator = ALLOCATOR,
    );
    operations(&mut text, &imports);
    for (at, callback) in callbacks(version).iter().enumerate() {
        let params = " i32".repeat(callback.params);
        let (result, end) = if callback.answers { ("(result i32)", "") } else { ("", "drop") };
        let name = callback.name;
        // These two must say yes, or there is no proxy; records may say otherwise.
        let otherwise =
            if matches!(name, "proxy_on_vm_start" | "proxy_on_configure") { "i32.eqz" } else { "" };
        let _ = writeln!(
            text,
            "(func (export \"{name}\") (param{params}) {result} (call $run (i32.const {at})) {otherwise} {end})"
        );
    }
    text.push(')');
    text
}

/// A mode of 0 gives what is asked for, going round; the others are the ways an allocator can be broken.
const ALLOCATOR: &str = r#"(func $malloc (export "malloc") (param $len i32) (result i32) (local $at i32)
    (if (i32.eq (global.get $mode) (i32.const 1)) (then (return (i32.const 0))))
    (if (i32.eq (global.get $mode) (i32.const 2)) (then (return (i32.const -2))))
    (if (i32.eq (global.get $mode) (i32.const 3)) (then unreachable))
    (if (i32.eq (global.get $mode) (i32.const 4)) (then (loop $ever (br $ever))))
    (if (i32.eq (global.get $mode) (i32.const 5)) (then (drop (memory.grow (i32.const 4)))))
    (if (i32.eq (global.get $mode) (i32.const 6)) (then (call $tell (i32.const 255) (i32.const 0))))
    (if (i32.eq (global.get $mode) (i32.const 7)) (then (drop (call $run (i32.const 99)))))
    (if (i32.gt_u (local.get $len) (i32.const 100000)) (then (return (i32.const 0))))
    (local.set $at (global.get $free))
    (global.set $free (i32.add (local.get $at) (i32.add (local.get $len) (i32.const 8))))
    (if (i32.gt_u (global.get $free) (i32.const 160000)) (then (global.set $free (i32.const 131072))))
    (local.get $at))"#;

/// `$do`: one operation of a record, by its number.
fn operations(text: &mut String, imports: &[&Import]) {
    text.push_str("(func $do (param $r i32) (param $op i32)\n");
    for (at, import) in imports.iter().enumerate() {
        let _ = write!(text, "(if (i32.eq (local.get $op) (i32.const {at})) (then ");
        let arguments: String = import
            .params
            .iter()
            .enumerate()
            .map(|(n, kind)| format!("({}.load offset={} (local.get $r))", word(*kind), 8 + n * 8))
            .collect();
        if import.results.is_empty() {
            let _ = write!(text, "(call $i{at} {arguments})");
        } else {
            let _ = write!(text, "(call $tell (local.get $op) (call $i{at} {arguments}))");
        }
        text.push_str("(return)))\n");
    }
    let first = "(i32.load offset=8 (local.get $r))";
    for own in Own::ALL {
        let code = match own {
            Own::Answer => format!("(global.set $answer {first})"),
            Own::Trap => "unreachable".to_owned(),
            Own::Loop => "(loop $ever (br $ever))".to_owned(),
            Own::Grow => format!("(drop (memory.grow {first}))"),
            Own::Store => {
                format!("(i64.store (i32.and {first} (i32.const 65535)) (i64.load offset=16 (local.get $r)))")
            }
            Own::Allocator => format!("(global.set $mode {first})"),
            Own::Recurse => "(call $recurse)".to_owned(),
            Own::Divide => "(drop (i32.div_s (i32.const 1) (i32.const 0)))".to_owned(),
            Own::CallNothing => "(call_indirect (type $nothing) (i32.const 0))".to_owned(),
            Own::OutOfBounds => "(drop (i32.load (i32.const -8)))".to_owned(),
        };
        let _ =
            writeln!(text, "(if (i32.eq (local.get $op) (i32.const {})) (then {code} (return)))", own as u8);
    }
    text.push_str(")\n");
}

fn word(kind: AbiType) -> &'static str {
    match kind {
        AbiType::I32 => "i32",
        AbiType::I64 => "i64",
    }
}
