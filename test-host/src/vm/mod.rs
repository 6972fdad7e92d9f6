//! Where guest code runs. wasmtime is named here and nowhere else; `engine` puts native code beside it.

mod budget;
mod engine;
mod exports;
mod guard;
pub mod import_table;
mod imported;
mod instance;
mod link;
pub mod module;
mod modules;
mod pool;
mod template;

pub use crate::abi::Capabilities;
#[cfg(feature = "native")]
pub use engine::NativeCode;
pub use engine::{Code, Template, Vm};
pub use instance::{Limits, WasmVm};
pub use modules::{LoadError, Metering, Module, Modules};
pub use template::WasmTemplate;
