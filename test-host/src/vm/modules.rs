//! Compiles modules once: in memory for this process, on disk for the next one.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use sha2::{Digest, Sha256};
use wasmtime::{Cache, CacheConfig, Config, Engine, OptLevel};

use super::module::{ModuleError, ModuleInfo};

/// A module that passed inspection and is compiled.
#[derive(Debug)]
pub struct Module {
    pub path: PathBuf,
    /// Of the file, in lower-case hex: what every report prints.
    pub sha256: String,
    pub bytes: usize,
    pub info: ModuleInfo,
    pub(super) compiled: wasmtime::Module,
}

#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("{}: cannot be read: {source}", path.display())]
    Unreadable { path: PathBuf, source: std::io::Error },
    /// Names the file itself.
    #[error(transparent)]
    Module(ModuleError),
    #[error("{}: passes inspection but does not compile: {reason}", path.display())]
    Compile { path: PathBuf, reason: String },
}

/// The engine and what it has compiled. One serves a whole process; simulations on several threads may share it.
#[derive(Debug)]
pub struct Modules {
    engine: Engine,
    loaded: Mutex<BTreeMap<String, Arc<Module>>>,
}

impl Modules {
    /// With compiled code kept under the user's cache folder, keyed by the module, the engine's version and settings;
    /// without a cache where no such folder can be had.
    pub fn new() -> Self {
        let cache = Cache::new(CacheConfig::new()).ok();
        Modules { engine: engine(cache), loaded: Mutex::default() }
    }

    /// Reads, inspects and compiles a module. The same bytes are compiled once.
    pub fn load(&self, path: &Path) -> Result<Arc<Module>, LoadError> {
        let wasm =
            std::fs::read(path).map_err(|source| LoadError::Unreadable { path: path.to_owned(), source })?;
        self.load_bytes(path, &wasm)
    }

    /// As [`Self::load`], with the bytes at hand; `path` is only what errors and reports call it.
    pub fn load_bytes(&self, path: &Path, wasm: &[u8]) -> Result<Arc<Module>, LoadError> {
        let sha256 = hex::encode(Sha256::digest(wasm));
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(module) = loaded.get(&sha256) {
            return Ok(Arc::clone(module));
        }
        let info = ModuleInfo::parse(wasm, path.display().to_string()).map_err(LoadError::Module)?;
        let compiled = wasmtime::Module::new(&self.engine, wasm)
            .map_err(|error| LoadError::Compile { path: path.to_owned(), reason: format!("{error:#}") })?;
        let module = Arc::new(Module {
            path: path.to_owned(),
            sha256: sha256.clone(),
            bytes: wasm.len(),
            info,
            compiled,
        });
        loaded.insert(sha256, Arc::clone(&module));
        Ok(module)
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }
}

impl Default for Modules {
    fn default() -> Self {
        Self::new()
    }
}

/// Fuel is metered: it ends endless loops, and it counts what a filter costs to the instruction, the same on every machine.
fn engine(cache: Option<Cache>) -> Engine {
    let mut config = Config::new();
    config
        .consume_fuel(true)
        .cranelift_opt_level(OptLevel::Speed)
        .cranelift_nan_canonicalization(true)
        .cache(cache);
    // These settings are valid on every supported target; an engine without any is the fallback that cannot fail.
    Engine::new(&config).unwrap_or_default()
}
