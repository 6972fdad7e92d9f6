//! Three filters as one module; `first`, `second` and `third` are the same as modules of their own.

#[macro_use]
#[path = "../members.rs"]
mod members;

use members::*;

member!(First, "first");
member!(Second, "second");
member!(Third, "third");

wayside_sdk::plugin!(First, Second, Third);
