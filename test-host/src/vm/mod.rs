//! Where guest code runs. wasmtime is named here and nowhere else.

mod budget;
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
pub use instance::{Limits, Vm};
pub use modules::{LoadError, Metering, Module, Modules};
pub use template::Template;
