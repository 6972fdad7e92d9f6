//! Where guest code runs. wasmtime is named here and nowhere else.

mod capabilities;
pub mod import_table;
mod imported;
mod instance;
mod link;
pub mod module;
mod modules;

pub use capabilities::Capabilities;
pub use instance::{Limits, Vm};
pub use modules::{LoadError, Module, Modules};
