//! A name that no header could have is found by the compiler.
use wayside_sdk::{Name, name};

const NAME: Name = name!("X-Key");

fn main() {}
