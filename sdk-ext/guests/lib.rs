//! The guests are the examples, each a module of its own. Natively they are here too, so that tests run them as Rust.
#![cfg(not(target_arch = "wasm32"))]

#[path = "examples/api-key.rs"]
pub mod api_key;
#[path = "examples/drill.rs"]
pub mod drill;
#[path = "examples/empty.rs"]
pub mod empty;
#[path = "examples/noop.rs"]
pub mod noop;
#[path = "examples/shared-state.rs"]
pub mod shared_state;

use wayside_sdk::native::Constructor;

/// What makes a VM of each, by the name of its module.
pub const ALL: [(&str, Constructor); 5] = [
    ("api_key", api_key::wayside_vm),
    ("drill", drill::wayside_vm),
    ("empty", empty::wayside_vm),
    ("noop", noop::wayside_vm),
    ("shared_state", shared_state::wayside_vm),
];
