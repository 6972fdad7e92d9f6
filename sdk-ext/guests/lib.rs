//! The guests are the examples, each a module of its own. Natively they are here too, so that tests run them as Rust.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::duplicate_mod, reason = "as examples they are crates of their own, which share a file")]

#[path = "examples/api-key.rs"]
pub mod api_key;
#[path = "examples/attempts.rs"]
pub mod attempts;
#[path = "examples/attributes.rs"]
pub mod attributes;
#[path = "examples/bodies.rs"]
pub mod bodies;
#[path = "examples/composed.rs"]
pub mod composed;
#[path = "examples/drill.rs"]
pub mod drill;
#[path = "examples/empty.rs"]
pub mod empty;
#[path = "examples/errand.rs"]
pub mod errand;
#[path = "examples/first.rs"]
pub mod first;
#[path = "examples/foreign.rs"]
pub mod foreign;
#[path = "examples/grpc.rs"]
pub mod grpc;
#[path = "examples/kept.rs"]
pub mod kept;
#[path = "examples/labels.rs"]
pub mod labels;
#[path = "examples/logs.rs"]
pub mod logs;
#[path = "examples/noop.rs"]
pub mod noop;
#[path = "examples/per-route.rs"]
pub mod per_route;
#[path = "examples/replies.rs"]
pub mod replies;
#[path = "examples/second.rs"]
pub mod second;
#[path = "examples/shared-state.rs"]
pub mod shared_state;
#[path = "examples/third.rs"]
pub mod third;
#[path = "examples/ticks.rs"]
pub mod ticks;
#[path = "examples/together.rs"]
pub mod together;

use wayside_sdk::native::Constructor;

/// What makes a VM of each, by the name of its module.
pub const ALL: &[(&str, Constructor)] = &[
    ("api_key", api_key::wayside_vm),
    ("attempts", attempts::wayside_vm),
    ("attributes", attributes::wayside_vm),
    ("bodies", bodies::wayside_vm),
    ("composed", composed::wayside_vm),
    ("drill", drill::wayside_vm),
    ("empty", empty::wayside_vm),
    ("errand", errand::wayside_vm),
    ("first", first::wayside_vm),
    ("foreign", foreign::wayside_vm),
    ("grpc", grpc::wayside_vm),
    ("kept", kept::wayside_vm),
    ("labels", labels::wayside_vm),
    ("logs", logs::wayside_vm),
    ("noop", noop::wayside_vm),
    ("per_route", per_route::wayside_vm),
    ("replies", replies::wayside_vm),
    ("second", second::wayside_vm),
    ("shared_state", shared_state::wayside_vm),
    ("third", third::wayside_vm),
    ("ticks", ticks::wayside_vm),
    ("together", together::wayside_vm),
];
