//! One of the filters of `composed`, as a module of its own.

#[macro_use]
#[path = "../members.rs"]
mod members;

use members::*;

member!(Third, "third");

wayside_sdk::plugin!(Third);
