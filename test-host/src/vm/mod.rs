//! Where guest code runs. wasmtime is named here and nowhere else.

mod exports;
mod guard;
pub mod import_table;
mod instance;
mod link;
pub mod module;
mod modules;

pub use instance::{Limits, Template, Vm};
pub use modules::{LoadError, Metering, Module, Modules};
