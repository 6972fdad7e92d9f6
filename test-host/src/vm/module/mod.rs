//! What a `.wasm` file says about itself, read without compiling or running it, and every reason why Envoy's host would
//! refuse it.

mod inspect;
mod problem;
mod truncation;

pub use problem::{ModuleError, Problem};

use std::collections::BTreeSet;

use super::{
    Capabilities,
    import_table::{AbiVersion, Callback, Import},
};

/// A module Envoy 1.40 would link: every import exists with its exact type, every callback has the right type, and
/// the host has a way to allocate memory in it.
#[derive(Clone, Debug)]
pub struct ModuleInfo {
    /// What the caller calls the module: a file name, mostly.
    pub name: String,
    /// Length of the file in bytes.
    pub len: usize,
    /// The first marker among the exports.
    pub abi: AbiVersion,
    /// The imported functions in the order of the file, each once.
    pub imports: Vec<&'static Import>,
    /// Whether the module wants its memory from the host, which then creates it with the limits below.
    pub imports_memory: bool,
    /// Whether the module wants its table from the host.
    pub imports_table: bool,
    /// Every exported function, in the order of the file.
    pub exports: Vec<String>,
    /// The exports the host looks up, in the order of the file.
    pub callbacks: Vec<&'static Callback>,
    /// How the host gets memory in the guest for what it returns.
    pub allocator: Allocator,
    /// What runs before anything else is called.
    pub start: Start,
    /// Limits of the linear memory. Envoy loads a module without any; it could exchange nothing with the host.
    pub memory: Option<MemoryLimits>,
    /// The module's own name, from the `name` section.
    pub own_name: Option<String>,
    /// Languages, tools and SDKs the `producers` section names.
    pub producers: Vec<Producer>,
    /// The other custom sections.
    pub custom_sections: Vec<CustomSection>,
}

impl ModuleInfo {
    /// What the module needs where Envoy's `capability_restriction_config` lists what a VM may call and be called with: its imports,
    /// WASI's among them, and its callbacks. What is [never restricted](crate::vm::Capabilities) is left out.
    pub fn capabilities(&self) -> BTreeSet<&'static str> {
        let imports = self.imports.iter().map(|import| import.name);
        let callbacks = self.callbacks.iter().map(|callback| callback.name);
        imports.chain(callbacks).filter(|name| Capabilities::restricts(name)).collect()
    }

    /// Reads and checks a module. `name` goes into the error.
    ///
    /// # Errors
    /// What stops the reading (not WebAssembly, a component, a truncated or malformed file) comes alone; everything that
    /// would stop the linking comes in one error.
    pub fn parse(bytes: &[u8], name: impl Into<String>) -> Result<Self, ModuleError> {
        let name = name.into();
        inspect::inspect(bytes, &name).map_err(|problems| ModuleError { module: name, problems })
    }
}

/// The export that gives the host memory inside the guest. `malloc` wins when both exist, whatever the specification says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allocator {
    /// `malloc(i32) -> i32`
    Malloc,
    /// `proxy_on_memory_allocate(i32) -> i32`
    ProxyOnMemoryAllocate,
}

impl Allocator {
    /// The name of the export.
    pub fn export(self) -> &'static str {
        match self {
            Self::Malloc => "malloc",
            Self::ProxyOnMemoryAllocate => "proxy_on_memory_allocate",
        }
    }
}

/// The functions called in order before the first callback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// The module has a start section: the engine itself runs it at instantiation.
    pub section: bool,
    /// `_initialize` and then, if exported, `main` or `__main_void`; otherwise `_start`. Empty if none is exported.
    pub calls: Vec<&'static str>,
}

/// A number of 64 KiB pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pages(pub u64);

impl Pages {
    /// The same as bytes; saturates where no machine could follow.
    pub fn bytes(self) -> u64 {
        self.0.saturating_mul(64 * 1024)
    }
}

/// Limits of a linear memory as the module declares them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryLimits {
    /// Size at instantiation.
    pub initial: Pages,
    /// The most it may grow to, if the module says.
    pub maximum: Option<Pages>,
}

/// One line of the `producers` section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Producer {
    /// `language`, `processed-by` or `sdk`.
    pub field: String,
    /// `Rust`, `rustc`, `clang`…
    pub name: String,
    /// As that tool prints it.
    pub version: String,
}

/// A custom section: debug information, mostly, which costs an Envoy start-up time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomSection {
    /// Its name.
    pub name: String,
    /// Bytes of content.
    pub len: usize,
}
