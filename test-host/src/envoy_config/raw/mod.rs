//! Envoy's configuration as it is written: a tree with positions, and readers that know how Envoy takes its fields.
//! Nothing of this leaves `envoy_config`.

mod any;
mod document;
mod reader;
mod scalar;

pub(super) use any::TypedConfig;
pub(super) use document::{Node, Syntax, Value, parse};
pub(super) use reader::{Cursor, Fields, Findings};
