//! One filter, two engines: every scenario as a module and as Rust of this process, and nothing may differ.

use std::{path::PathBuf, sync::Arc};

use super::{ThisCrate, discover};
use crate::{native::Constructor, replay, vm::Modules};

/// Builds the filter crate whose test this is, and runs every scenario in its `scenarios` folder twice: through the module, and
/// through the same sources as Rust, of which `make` is the `wayside_vm`. Returns how many scenarios there were.
///
/// # Errors
/// What cannot be run, and every field of the outcome, of what was called and of what was answered that differs, as one text.
pub fn check_engines_of_this_crate(make: Constructor) -> Result<usize, String> {
    let this = ThisCrate::build()?;
    let scenarios = discover(&this.scenarios).map_err(|error| error.to_string())?;
    let wasm = Arc::new(Modules::new());
    let native = Arc::new(Modules::new().natively(this.name(), make));
    let mut told = String::new();
    for scenario in &scenarios {
        // What runs as Rust needs no file.
        let as_rust = scenario.replay(&native, &|name| Ok(PathBuf::from(name)));
        let as_module = scenario.replay(&wasm, &|name| this.resolve(name));
        match (as_module, as_rust) {
            (Ok(one), Ok(other)) => {
                for line in replay::differences([("module", &one.replay), ("Rust", &other.replay)]) {
                    told.push_str(&format!("{}: {line}\n", scenario.folder.display()));
                }
            }
            (one, other) => {
                let (one, other) = (one.err().map(|e| e.to_string()), other.err().map(|e| e.to_string()));
                if one != other || one.is_none() {
                    told.push_str(&format!(
                        "{}: module {one:?}; Rust {other:?}\n",
                        scenario.folder.display()
                    ));
                }
            }
        }
    }
    if told.is_empty() { Ok(scenarios.len()) } else { Err(told) }
}
