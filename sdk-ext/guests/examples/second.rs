//! One of the filters of `composed`, as a module of its own.

#[macro_use]
#[path = "../members.rs"]
mod members;

use members::*;

member!(Second, "second");

wayside_sdk::plugin!(Second);
