//! Which engine runs a filter's code: the one place where they meet. Behind it a VM is a VM.

use std::{path::Path, sync::Arc};

use super::{Limits, Module, Modules, instance::WasmVm, template::WasmTemplate};
use crate::abi::{Callback, Capabilities, ContextId, GuestFault, HostCalls};
#[cfg(feature = "native")]
use crate::native;

/// The code of a filter.
#[derive(Clone, Debug)]
pub enum Code {
    /// A module that passed inspection and is compiled.
    Wasm(Arc<Module>),
    /// Rust of this process, in the place of a module.
    #[cfg(feature = "native")]
    Native(NativeCode),
}

/// A filter as Rust of this process ([`Modules::natively`]).
#[cfg(feature = "native")]
#[derive(Clone, Debug)]
pub struct NativeCode {
    pub(super) name: String,
    /// The module's, which need not exist.
    pub(super) path: std::path::PathBuf,
    pub(super) filter: native::Filter,
}

impl Code {
    /// The module's file as the configuration names it.
    pub fn path(&self) -> &Path {
        match self {
            Code::Wasm(module) => &module.path,
            #[cfg(feature = "native")]
            Code::Native(code) => &code.path,
        }
    }

    /// Of the module, in lower-case hex; `native` where there is none.
    pub fn sha256(&self) -> &str {
        match self {
            Code::Wasm(module) => &module.sha256,
            #[cfg(feature = "native")]
            Code::Native(_) => "native",
        }
    }

    /// The module's length; 0 where there is none.
    pub fn bytes(&self) -> usize {
        match self {
            Code::Wasm(module) => module.bytes,
            #[cfg(feature = "native")]
            Code::Native(_) => 0,
        }
    }

    /// Equal where the code is.
    pub(crate) fn key(&self) -> String {
        match self {
            Code::Wasm(module) => module.sha256.clone(),
            #[cfg(feature = "native")]
            Code::Native(code) => format!("native {}", code.name),
        }
    }
}

/// Code that VMs start from, any number of them.
#[derive(Debug)]
pub enum Template<H: 'static> {
    Wasm(Box<WasmTemplate<H>>),
    #[cfg(feature = "native")]
    Native(NativeCode),
}

impl<H: HostCalls + 'static> Template<H> {
    /// Makes ready what VMs have in common of code that `modules` has found.
    ///
    /// # Errors
    /// A module's imports are not what inspection found them to be, or the guard's thread cannot be had.
    pub fn new(modules: &Arc<Modules>, code: Code, limits: Limits) -> Result<Self, GuestFault> {
        match code {
            Code::Wasm(module) => {
                WasmTemplate::new(modules, module, limits).map(Box::new).map(Template::Wasm)
            }
            #[cfg(feature = "native")]
            Code::Native(code) => Ok(Template::Native(code)),
        }
    }

    pub fn code(&self) -> Code {
        match self {
            Template::Wasm(template) => Code::Wasm(Arc::clone(template.module())),
            #[cfg(feature = "native")]
            Template::Native(code) => Code::Native(code.clone()),
        }
    }

    /// Makes a VM and runs a module's start functions, with `host` lent to them.
    pub fn start(&self, capabilities: Capabilities, host: Box<H>) -> (Box<H>, Result<Vm<H>, GuestFault>) {
        match self {
            Template::Wasm(template) => {
                let (host, started) = template.start(capabilities, host);
                (host, started.map(Vm::Wasm))
            }
            #[cfg(feature = "native")]
            Template::Native(code) => (host, Ok(Vm::Native(native::Vm::new(&code.filter, capabilities)))),
        }
    }
}

/// One VM. `H` is the host that is lent to it.
#[derive(Debug)]
pub enum Vm<H: 'static> {
    Wasm(Box<WasmVm<H>>),
    #[cfg(feature = "native")]
    Native(native::Vm<H>),
}

impl<H: HostCalls + 'static> Vm<H> {
    /// Calls the guest, with `host` lent to it meanwhile. `Ok(None)`: the module does not export this callback.
    pub fn call(
        &mut self,
        host: Box<H>,
        context: ContextId,
        callback: Callback,
    ) -> (Box<H>, Result<Option<u32>, GuestFault>) {
        match self {
            Vm::Wasm(vm) => vm.call(host, context, callback),
            #[cfg(feature = "native")]
            Vm::Native(vm) => vm.call(host, context, callback),
        }
    }

    /// Fuel used by the last callback, where it is metered.
    pub fn fuel_used(&self) -> Option<u64> {
        match self {
            Vm::Wasm(vm) => vm.fuel_used(),
            #[cfg(feature = "native")]
            Vm::Native(_) => None,
        }
    }
}
