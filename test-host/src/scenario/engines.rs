//! One filter, two engines: every scenario as a module and as Rust of this process, and nothing may differ.

use std::{
    num::NonZeroU32,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{Bless, Manifest, Ran, ScenarioError, ThisCrate, check_with, discover, folder_of_this_crate};
use crate::{
    native::Constructor,
    replay::{self, Replay},
    upstream::Services,
    vm::Modules,
};

/// What runs as Rust needs no file.
fn no_file(name: &str) -> Result<PathBuf, String> {
    Ok(PathBuf::from(name))
}

/// Runs a scenario that stands in a test, written as a `scenario.yaml` is, with its filters as Rust: each with the name that the
/// chain calls it. No module is built, and no file is read.
///
/// # Errors
/// The scenario cannot be run.
pub fn natively(text: &str, filters: &[(&str, Constructor)]) -> Result<Replay, ScenarioError> {
    let filters = filters.iter();
    let modules = filters.fold(Modules::new(), |modules, (name, make)| modules.natively(name, *make));
    Ran::of(text, Path::new("in the test"), &Arc::new(modules), &no_file).map(|ran| ran.replay)
}

/// The same in a proxy with several workers, each exchange on a connection of its own, and with services that are the test's: they
/// may answer otherwise each time, which a script does not.
///
/// # Errors
/// The scenario cannot be run.
pub fn natively_among(
    text: &str,
    filters: &[(&str, Constructor)],
    workers: NonZeroU32,
    services: &dyn Fn() -> Services,
) -> Result<Replay, ScenarioError> {
    const PLACE: &str = "in the test";
    let filters = filters.iter();
    let modules = filters.fold(Modules::new(), |modules, (name, make)| modules.natively(name, *make));
    let manifest = Manifest::parse(text, PLACE)?;
    let mut recording = manifest.recording(Path::new(PLACE))?;
    for exchange in &mut recording.exchanges {
        exchange.connection.remote = None;
    }
    manifest.replay(recording, workers, services, (PLACE, &Arc::new(modules), &no_file))
}

/// Runs every scenario in the `scenarios` folder of the crate whose test this is through its filter as Rust, and holds each story
/// against the expected one: in seconds, without a module, for a debugger and for coverage. `name` is what scenarios call the
/// filter, `make` its `wayside_vm`. Returns how many scenarios there were.
///
/// # Errors
/// All that failed or differed, as one text.
pub fn check_this_crate_as_rust(name: &str, make: Constructor) -> Result<usize, String> {
    let modules = Arc::new(Modules::new().natively(name, make));
    check_with(&modules, &folder_of_this_crate(), &no_file, Bless::No)
        .map_err(|errors| errors.iter().map(|error| format!("{error}\n")).collect())
}

/// Builds the filter crate whose test this is, and runs every scenario in its `scenarios` folder twice: through the module, and
/// through the same sources as Rust, of which `make` is the `wayside_vm`. Returns how many scenarios there were.
///
/// # Errors
/// What cannot be run, and every field of the outcome, of what was called and of what was answered that differs, as one text.
pub fn check_engines_of_this_crate(make: Constructor) -> Result<usize, String> {
    let this = ThisCrate::build()?;
    let scenarios = discover(&this.scenarios).map_err(|error| error.to_string())?;
    let wasm = Arc::new(Modules::new());
    let native = Modules::new().natively_for(&this.module.path, make).map_err(|error| error.to_string())?;
    let native = Arc::new(native);
    let mut told = String::new();
    for scenario in &scenarios {
        let as_rust = scenario.replay(&native, &no_file);
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
