//! Where guest code runs. wasmtime is named here and nowhere else.

pub mod import_table;
mod instance;
mod link;
pub mod module;
mod modules;

pub use instance::{Limits, Vm};
pub use modules::{LoadError, Module, Modules};
