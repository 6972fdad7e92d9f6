//! Why a module cannot be loaded, in words its author can act on.

use crate::vm::import_table::{self, AbiVersion};
use std::fmt;

/// Everything that is wrong with one module.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ModuleError {
    /// The name the caller gave.
    pub module: String,
    /// At least one.
    pub problems: Vec<Problem>,
}

/// More than these are counted, not listed: a module can import a hundred thousand wrong things.
const LISTED: usize = 20;

impl fmt::Display for ModuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.module)?;
        if let [only] = self.problems.as_slice() {
            return only.fmt(f);
        }
        write!(f, "{} problems", self.problems.len())?;
        for problem in self.problems.iter().take(LISTED) {
            write!(f, "\n  - {problem}")?;
        }
        match self.problems.len().saturating_sub(LISTED) {
            0 => Ok(()),
            more => write!(f, "\n  and {more} more"),
        }
    }
}

/// One reason why Envoy's host would refuse a module. Names that come out of the module are escaped where they are shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The file has no bytes.
    #[error("the file is empty, expected a WebAssembly module")]
    Empty,
    /// The magic number is missing.
    #[error(
        "not WebAssembly: the file starts with {}, expected 00 61 73 6d (\"\\0asm\"){}",
        shown_bytes(first),
        looks_like(first)
    )]
    NotWasm {
        /// Up to the first eight bytes.
        first: Vec<u8>,
    },
    /// A component instead of a core module.
    #[error(
        "a WebAssembly component, expected a core module: build for wasm32-unknown-unknown or wasm32-wasip1, not wasm32-wasip2"
    )]
    Component,
    /// The file is shorter than its own section lengths say.
    #[error(
        "truncated at byte {len}: the {what} that starts at byte {starts_at} goes on to byte {ends_at} at least"
    )]
    Truncated {
        /// Which part is cut.
        what: String,
        /// Where it starts in the file.
        starts_at: u64,
        /// The least length the file would need.
        ends_at: u64,
        /// The length the file has.
        len: usize,
    },
    /// The validator refuses the bytes.
    #[error("malformed at byte {offset}: {message}")]
    Malformed {
        /// Where in the file.
        offset: u64,
        /// The validator's words.
        message: String,
    },
    /// No version marker.
    #[error(
        "not a Proxy-Wasm module: no function proxy_abi_version_0_1_0, …_0_2_0 or …_0_2_1 is exported{}",
        other_marker(found.as_deref())
    )]
    NoAbiVersion {
        /// An export that looks like a marker of a version Envoy does not know.
        found: Option<String>,
    },
    /// A function Envoy's host does not offer to this module.
    #[error("unknown import {} {signature}: {}", shown(module, name), unknown_import_hint(module, name, *abi))]
    UnknownImport {
        /// Module part of the import's name.
        module: String,
        /// Function part.
        name: String,
        /// The type the module wants.
        signature: String,
        /// The version the module declares, if it declares one.
        abi: Option<AbiVersion>,
    },
    /// A known function with another type.
    #[error(
        "import {} has the wrong type: found {found}, expected {expected}{}",
        shown(module, name),
        wrong_type_hint(module, name)
    )]
    ImportType {
        /// Module part of the import's name.
        module: String,
        /// Function part.
        name: String,
        /// The type the module wants.
        found: String,
        /// The type the host has.
        expected: String,
    },
    /// A global, a tag, a second memory: the host gives functions, one memory and one table.
    #[error(
        "import {} is a {kind}: the host offers functions, one memory and one table only",
        shown(module, name)
    )]
    ImportKind {
        /// Module part of the import's name.
        module: String,
        /// Its own part.
        name: String,
        /// What the module wants.
        kind: &'static str,
    },
    /// An export the host calls has another type than the host would call it with.
    #[error("callback {name} has the wrong type: found {found}, expected {expected}{}", callback_hint(name, *abi))]
    CallbackType {
        /// Name of the export.
        name: &'static str,
        /// The type the module has.
        found: String,
        /// The type the host calls.
        expected: String,
        /// The version the module declares, if it declares one.
        abi: Option<AbiVersion>,
    },
    /// Neither allocator is exported.
    #[error(
        "no allocator: the host needs malloc or proxy_on_memory_allocate, of type (i32) -> i32, to return anything"
    )]
    NoAllocator,
    /// More memory from the start than Envoy lets its engine give.
    #[error("a memory of {pages} pages to begin with: Envoy gives 16384 (1 GiB) at most")]
    MemoryTooLarge {
        /// How many pages of 64 KiB the module begins with.
        pages: u64,
    },
}

fn shown(module: &str, name: &str) -> String {
    format!("{}.{}", module.escape_debug(), name.escape_debug())
}

fn shown_bytes(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}

fn looks_like(first: &[u8]) -> &'static str {
    match first {
        [0x1f, 0x8b, ..] => "; this is gzip, unpack it first",
        [0x7f, b'E', b'L', b'F', ..] => "; this is a native binary, build for wasm32-unknown-unknown",
        [b'(', b'm', b'o', ..] => "; this is WebAssembly text, assemble it with wat2wasm",
        _ => "",
    }
}

fn other_marker(found: Option<&str>) -> String {
    found
        .map(|name| format!(" (found {}, a version Envoy does not know)", name.escape_debug()))
        .unwrap_or_default()
}

/// Why a module that came out of a compiler asks for something no Envoy has.
fn unknown_import_hint(module: &str, name: &str, abi: Option<AbiVersion>) -> String {
    if let (Some(import), Some(abi)) = (import_table::find(module, name), abi) {
        let versions: Vec<_> = import.versions.iter().map(ToString::to_string).collect();
        return format!("it exists only in ABI {}, this module declares {abi}", versions.join(" and "));
    }
    if module.starts_with("__wbindgen") {
        return "built with wasm-bindgen, which needs JavaScript: a dependency expects a browser (often getrandom's `js` or \
                `wasm_js` feature, or chrono's `wasmbind`)"
            .into();
    }
    if module.starts_with("wasi:") {
        return "an interface of WASI preview 2, which Envoy does not have: build for wasm32-wasip1".into();
    }
    if name == "proc_raise" {
        return "Envoy's host offers all of WASI preview 1 but this".into();
    }
    if let Some(import) = import_table::IMPORTS.iter().rev().find(|import| import.name == name) {
        return format!("the host offers {}.{name}", import.module);
    }
    if module == "env"
        && (name.starts_with("emscripten_") || name.starts_with("invoke_") || name.starts_with("__syscall"))
    {
        return "part of Emscripten's own runtime: build with -sSTANDALONE_WASM and without exceptions"
            .into();
    }
    if module == "env" {
        return "Envoy's host offers no such function (a symbol the linker did not find becomes an import of env)".into();
    }
    "Envoy's host offers functions of env, wasi_unstable and wasi_snapshot_preview1 only".into()
}

fn wrong_type_hint(module: &str, name: &str) -> &'static str {
    match (module.starts_with("wasi_"), name) {
        (true, "path_link" | "path_symlink") => {
            "; Envoy declares it with one parameter less than WASI preview 1 does"
        }
        _ => "",
    }
}

fn callback_hint(name: &str, abi: Option<AbiVersion>) -> String {
    match (name, abi) {
        ("proxy_on_request_headers" | "proxy_on_response_headers", Some(abi)) => {
            format!(" (ABI {abi}; end_of_stream is a parameter since 0.2.0)")
        }
        _ => String::new(),
    }
}
