//! Compiles modules once: in memory for this process, on disk for the next one.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use sha2::{Digest, Sha256};
use wasmtime::{Cache, CacheConfig, Config, Engine, OptLevel};

use super::{
    Code,
    guard::Guard,
    module::{ModuleError, ModuleInfo},
    pool,
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
    /// What a VM is made from where the pool has no room for one more; `None`: `compiled` needs no pool.
    unpooled: Option<Unpooled>,
}

/// A module's bytes, and what comes of them once they are needed.
#[derive(Debug)]
struct Unpooled {
    wasm: Box<[u8]>,
    compiled: OnceLock<Result<wasmtime::Module, String>>,
}

impl Module {
    /// The module for VMs outside the pool. `None`: there is no pool, or the module did not fit into it.
    pub(super) fn unpooled(&self, modules: &Modules) -> Option<wasmtime::Result<wasmtime::Module>> {
        let Unpooled { wasm, compiled } = self.unpooled.as_ref()?;
        let compile = || wasmtime::Module::new(&modules.engine, wasm).map_err(|error| format!("{error:#}"));
        Some(compiled.get_or_init(compile).clone().map_err(wasmtime::Error::msg))
    }
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
    /// Where VMs are started by the thousand. `None` also where the system has no room for a pool.
    pool: Option<Engine>,
    metering: Metering,
    loaded: Mutex<BTreeMap<String, Arc<Module>>>,
    /// By the name of the module that each stands for.
    #[cfg(feature = "native")]
    natives: BTreeMap<String, crate::native::Filter>,
}

impl Modules {
    /// Nothing metered. Compiled code is kept under the user's cache folder, keyed by the module, the engine's version and
    /// settings; without a cache where no such folder can be had.
    pub fn new() -> Self {
        Self::metering_by(Metering::Off)
    }

    /// As [`Self::new`], with instructions counted or not.
    pub fn metering_by(metering: Metering) -> Self {
        Self::with(metering, false)
    }

    /// As [`Self::metering_by`], for replays in which every exchange has VMs of its own
    /// ([`Isolation::EachExchange`](crate::replay::Isolation)): room for VMs is set aside once and used again, so that one
    /// starts in a third of the time. What does not fit, a module or one VM more, is started without. It makes no other difference.
    pub fn for_isolation(metering: Metering) -> Self {
        Self::with(metering, true)
    }

    fn with(metering: Metering, pooled: bool) -> Self {
        let config = config(Cache::new(CacheConfig::new()).ok(), metering);
        Modules {
            guard: Mutex::default(),
            pool: pooled.then(|| pool::engine(&config)).flatten(),
            // These settings are valid on every supported target; an engine without any is the fallback that cannot fail.
            engine: Engine::new(&config).unwrap_or_default(),
            metering,
            loaded: Mutex::default(),
            #[cfg(feature = "native")]
            natives: BTreeMap::new(),
        }
    }

    /// Has a filter run as Rust of this process wherever a configuration names the file `<module>.wasm`, in whatever folder; the
    /// file need not exist. Other modules of the chain run as they are.
    #[cfg(feature = "native")]
    #[must_use]
    pub fn natively(mut self, module: &str, make: crate::native::Constructor) -> Self {
        self.natives.insert(module.to_owned(), crate::native::Filter { make, exports: None });
        self
    }

    /// As [`Self::natively`], in the place of a module that is at hand: exactly the callbacks are called that it exports. Which
    /// they are only its finished file tells.
    ///
    /// # Errors
    /// The file cannot be read, or an Envoy would refuse it.
    #[cfg(feature = "native")]
    pub fn natively_for(
        mut self,
        module: &Path,
        make: crate::native::Constructor,
    ) -> Result<Self, LoadError> {
        let wasm = std::fs::read(module)
            .map_err(|source| LoadError::Unreadable { path: module.to_owned(), source })?;
        let info = ModuleInfo::parse(&wasm, module.display().to_string()).map_err(LoadError::Module)?;
        let name = module.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let exports = Some(Arc::new(info.exports.into_iter().collect()));
        self.natives.insert(name, crate::native::Filter { make, exports });
        Ok(self)
    }

    pub fn metering(&self) -> Metering {
        self.metering
    }

    /// Sees to it that time passes for guests, where time is what ends them.
    pub(super) fn guard(&self) -> std::io::Result<()> {
        let mut guard = self.guard.lock().unwrap_or_else(PoisonError::into_inner);
        if self.metering == Metering::Off && guard.is_none() {
            let engines = [&self.engine].into_iter().chain(&self.pool);
            *guard = Some(Guard::start(engines.cloned().collect())?);
        }
        Ok(())
    }

    /// What runs for a file that a configuration names.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn find(&self, path: &Path) -> Result<Code, LoadError> {
        #[cfg(feature = "native")]
        if let Some((name, filter)) =
            path.file_stem().and_then(|stem| self.natives.get_key_value(&*stem.to_string_lossy()))
        {
            let (name, path, filter) = (name.clone(), path.to_owned(), filter.clone());
            return Ok(Code::Native(super::NativeCode { name, path, filter }));
        }
        self.load(path).map(Code::Wasm)
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
        let pooled = self.pool.as_ref().and_then(|pool| wasmtime::Module::new(pool, wasm).ok());
        let unpooled = pooled.is_some().then(|| Unpooled { wasm: wasm.into(), compiled: OnceLock::new() });
        let compiled = pooled
            .map_or_else(|| wasmtime::Module::new(&self.engine, wasm), Ok)
            .map_err(|error| LoadError::Compile { path: path.to_owned(), reason: format!("{error:#}") })?;
        let module = Arc::new(Module {
            path: path.to_owned(),
            sha256: sha256.clone(),
            bytes: wasm.len(),
            info,
            compiled,
            unpooled,
        });
        loaded.insert(sha256, Arc::clone(&module));
        Ok(module)
    }
}

impl Default for Modules {
    fn default() -> Self {
        Self::new()
    }
}

fn config(cache: Option<Cache>, metering: Metering) -> Config {
    let mut config = Config::new();
    config
        .consume_fuel(metering == Metering::Fuel)
        .epoch_interruption(metering == Metering::Off)
        .cranelift_opt_level(OptLevel::Speed)
        .cranelift_nan_canonicalization(true)
        .cache(cache);
    config
}
