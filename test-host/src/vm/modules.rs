//! Compiles modules once: in memory for this process, on disk for the next one.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use sha2::{Digest, Sha256};
use wasmtime::{Cache, CacheConfig, Config, Engine, OptLevel};

use super::{
    guard::Guard,
    module::{ModuleError, ModuleInfo},
};

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

/// What ends a guest that does not end by itself, and whether its instructions are counted meanwhile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Metering {
    /// Nothing is counted; a callback ends when [`Limits::time`](super::Limits::time) is over.
    #[default]
    Off,
    /// Every instruction is counted, the same on every machine; a callback ends with [`Limits::fuel`](super::Limits::fuel).
    /// Compiled code differs, and is slower by a sixth or so.
    Fuel,
}

/// The engine and what it has compiled. One serves a whole process; simulations on several threads may share it.
#[derive(Debug)]
pub struct Modules {
    /// Started with the first module that is linked. Above the engine: it ends first.
    guard: Mutex<Option<Guard>>,
    engine: Engine,
    metering: Metering,
    loaded: Mutex<BTreeMap<String, Arc<Module>>>,
}

impl Modules {
    /// Nothing metered. Compiled code is kept under the user's cache folder, keyed by the module, the engine's version and
    /// settings; without a cache where no such folder can be had.
    pub fn new() -> Self {
        Self::metering_by(Metering::Off)
    }

    /// As [`Self::new`], with instructions counted or not.
    pub fn metering_by(metering: Metering) -> Self {
        let cache = Cache::new(CacheConfig::new()).ok();
        Modules {
            guard: Mutex::default(),
            engine: engine(cache, metering),
            metering,
            loaded: Mutex::default(),
        }
    }

    pub fn metering(&self) -> Metering {
        self.metering
    }

    /// Sees to it that time passes for guests, where time is what ends them.
    pub(super) fn guard(&self) -> std::io::Result<()> {
        let mut guard = self.guard.lock().unwrap_or_else(PoisonError::into_inner);
        if self.metering == Metering::Off && guard.is_none() {
            *guard = Some(Guard::start(&self.engine)?);
        }
        Ok(())
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

fn engine(cache: Option<Cache>, metering: Metering) -> Engine {
    let mut config = Config::new();
    config
        .consume_fuel(metering == Metering::Fuel)
        .epoch_interruption(metering == Metering::Off)
        .cranelift_opt_level(OptLevel::Speed)
        .cranelift_nan_canonicalization(true)
        .cache(cache);
    // These settings are valid on every supported target; an engine without any is the fallback that cannot fail.
    Engine::new(&config).unwrap_or_default()
}
