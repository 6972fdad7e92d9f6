//! One of the filters of `composed`, as a module of its own.

#[macro_use]
#[path = "../members.rs"]
mod members;

use members::*;

member!(First, "first");

wayside_sdk::plugin!(First);
