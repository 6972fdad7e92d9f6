//! What happens to a guest's module between the linker and the host: callbacks that do nothing are dropped, what nobody can
//! reach any more goes with them, and what Envoy would refuse is refused here.
//!
//! Bytes in, bytes out: the same module gives the same bytes wherever it was built.

mod callbacks;
mod live;
mod read;
mod twins;
mod write;

use std::fmt;

/// A module as it is shipped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    pub bytes: Vec<u8>,
    /// Exports that a host need not call, in the order of the file.
    pub dropped: Vec<String>,
}

/// Why a module cannot be shipped.
#[derive(Debug, thiserror::Error)]
pub enum PostlinkError {
    /// No module, or one beyond what Proxy-Wasm hosts take.
    #[error("not a module that can be rewritten: {0}")]
    Malformed(String),
    /// A dependency wants something no proxy offers.
    #[error(
        "imports {}: a proxy offers env.proxy_* and, of WASI, clock_time_get, random_get and environ_get; a dependency brought it in \
         (`cargo tree --target wasm32-unknown-unknown` shows which), often for a clock, randomness or a browser",
        listed(.0)
    )]
    ForeignImports(Vec<Import>),
    /// More bytes than the package allows itself.
    #[error("{found} bytes, {allowed} allowed")]
    TooLarge {
        /// Of the finished module.
        found: usize,
        /// By the caller.
        allowed: usize,
    },
}

impl From<wasmparser::BinaryReaderError> for PostlinkError {
    fn from(error: wasmparser::BinaryReaderError) -> Self {
        Self::Malformed(error.to_string())
    }
}

/// One import, by its two names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Import {
    pub module: String,
    pub name: String,
}

impl fmt::Display for Import {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.module, self.name)
    }
}

fn listed(imports: &[Import]) -> String {
    imports.iter().map(Import::to_string).collect::<Vec<_>>().join(", ")
}

/// Drops every callback that does nothing, and every function, import and type that is then out of reach. Functions with the same
/// code become one, and those that are named most often get the shortest numbers. Custom sections go too, but for the names of
/// functions.
///
/// A callback does nothing if its code is no more than the answer a host assumes of one that is missing; or if the code
/// exported as `wayside:<callback>` is the constant 0, which is how wayside-sdk tells that a filter left it as it was.
///
/// # Errors
/// [`PostlinkError::Malformed`].
pub fn finish(module: &[u8]) -> Result<Finished, PostlinkError> {
    let module = read::Module::read(module)?;
    let dropped = callbacks::idle(&module);
    let live = live::Live::of(&module, |export| !dropped.contains(export))?;
    let bytes = write::write(&module, &live)?;
    let dropped = dropped.into_iter().filter(|name| !callbacks::is_probe(name)).map(str::to_owned).collect();
    Ok(Finished { bytes, dropped })
}

/// Drops exports by name, and all that only they reached. For modules that do not tell which callbacks they leave as they were.
///
/// # Errors
/// [`PostlinkError::Malformed`].
pub fn without(module: &[u8], exports: &[&str]) -> Result<Vec<u8>, PostlinkError> {
    let module = read::Module::read(module)?;
    let live = live::Live::of(&module, |export| !exports.contains(export))?;
    write::write(&module, &live)
}

/// Whether this module was made to be finished: wayside-sdk's are. What others build is tested as they ship it.
#[must_use]
pub fn is_unfinished(module: &[u8]) -> bool {
    read::Module::read(module)
        .is_ok_and(|module| module.exports.iter().any(|(name, ..)| callbacks::is_probe(name)))
}

/// Of WASI, what every host has.
const WASI: [&str; 4] = ["clock_time_get", "random_get", "environ_sizes_get", "environ_get"];

/// What the module wants from a host besides Proxy-Wasm's own calls and those of WASI that every host has.
///
/// # Errors
/// [`PostlinkError::ForeignImports`], or [`PostlinkError::Malformed`].
pub fn check_imports(module: &[u8]) -> Result<(), PostlinkError> {
    let module = read::Module::read(module)?;
    let foreign: Vec<_> = module
        .imports
        .iter()
        .filter(|import| match import.module {
            "env" => !import.name.starts_with("proxy_"),
            "wasi_snapshot_preview1" => !WASI.contains(&import.name),
            _ => true,
        })
        .map(|import| Import { module: import.module.to_owned(), name: import.name.to_owned() })
        .collect();
    if foreign.is_empty() { Ok(()) } else { Err(PostlinkError::ForeignImports(foreign)) }
}

/// # Errors
/// [`PostlinkError::TooLarge`].
pub fn check_size(module: &[u8], allowed: usize) -> Result<(), PostlinkError> {
    match module.len() {
        found if found > allowed => Err(PostlinkError::TooLarge { found, allowed }),
        _ => Ok(()),
    }
}
