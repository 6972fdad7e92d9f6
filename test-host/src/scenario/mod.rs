//! A folder as a test: a chain of filters, the traffic it gets, and the story that is expected to come of it.
//!
//! `scenario.yaml` holds chain and traffic ([`Manifest`]), `expected.txt` the story. Adding a case needs no Rust.

mod cost;
#[cfg(feature = "native")]
mod engines;
mod manifest;
mod story;

use std::{
    fmt,
    num::NonZeroU32,
    path::{Path, PathBuf},
    sync::Arc,
};

pub use cost::{Allowed, check_cost_of_this_crate};
#[cfg(feature = "native")]
pub use engines::{check_engines_of_this_crate, check_this_crate_as_rust, natively, natively_among};
pub use manifest::{Manifest, ManifestError};

use crate::{
    build::Artifact,
    message::Recording,
    proxy::StartError,
    replay::{self, Options, Replay, Specs},
    report::Report,
    upstream::Services,
    vm::Modules,
};

/// Finds the file of a module that a scenario names; an error says in a sentence what is missing.
pub type Resolve<'a> = &'a dyn Fn(&str) -> Result<PathBuf, String>;

/// A scenario's folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scenario {
    pub folder: PathBuf,
}

/// Why a scenario could not be run, or what differed.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: std::io::Error },
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    #[error("{place}: module {module}: {why}")]
    Module { place: String, module: String, why: String },
    #[error("{place}: {source}")]
    Start { place: String, source: Box<StartError> },
    #[error("{}: no folder with a scenario.yaml in it", path.display())]
    NoneFound { path: PathBuf },
    #[error("{}: no filter ran", folder.display())]
    NothingRan { folder: PathBuf },
    #[error("{}: the story differs from expected.txt\n{difference}", folder.display())]
    Differs { folder: PathBuf, difference: Lines },
}

/// Which lines differ, `-` expected and `+` found, with some that agree around them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lines(Vec<String>);

impl fmt::Display for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|line| writeln!(f, "    {line}"))
    }
}

/// Whether a story that differs becomes the expected one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bless {
    No,
    Yes,
}

/// All scenarios below a folder, by name.
///
/// # Errors
/// The folder cannot be read, or holds none: a test of nothing must not pass.
pub fn discover(folder: &Path) -> Result<Vec<Scenario>, ScenarioError> {
    let mut found = Vec::new();
    search(folder, &mut found)?;
    found.sort_by(|a, b| a.folder.cmp(&b.folder));
    if found.is_empty() {
        return Err(ScenarioError::NoneFound { path: folder.to_owned() });
    }
    Ok(found)
}

fn search(folder: &Path, found: &mut Vec<Scenario>) -> Result<(), ScenarioError> {
    let failed = |source| ScenarioError::Io { path: folder.to_owned(), source };
    if folder.join("scenario.yaml").is_file() {
        found.push(Scenario { folder: folder.to_owned() });
        return Ok(());
    }
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_dir() {
            search(&path, found)?;
        }
    }
    Ok(())
}

/// Runs every scenario below a folder; returns how many there were.
///
/// # Errors
/// All that failed or differed.
pub fn check_all(folder: &Path, resolve: Resolve<'_>, bless: Bless) -> Result<usize, Vec<ScenarioError>> {
    check_with(&Arc::new(Modules::new()), folder, resolve, bless)
}

fn check_with(
    modules: &Arc<Modules>,
    folder: &Path,
    resolve: Resolve<'_>,
    bless: Bless,
) -> Result<usize, Vec<ScenarioError>> {
    let scenarios = discover(folder).map_err(|error| vec![error])?;
    let errors: Vec<_> =
        scenarios.iter().filter_map(|scenario| scenario.check(modules, resolve, bless).err()).collect();
    if errors.is_empty() { Ok(scenarios.len()) } else { Err(errors) }
}

/// Builds the filter crate whose test this is, and runs every scenario in its `scenarios` folder: a filter author's whole
/// test in one line. `UPDATE_EXPECT=1` in the environment accepts what differs.
///
/// # Errors
/// All that failed or differed, as one text.
pub fn check_this_crate() -> Result<usize, String> {
    let this = ThisCrate::build()?;
    let bless = if std::env::var_os("UPDATE_EXPECT").is_some() { Bless::Yes } else { Bless::No };
    let told =
        |errors: Vec<ScenarioError>| errors.iter().map(|error| format!("{error}\n")).collect::<String>();
    check_all(&this.scenarios, &|name| this.resolve(name), bless)
        .map_err(|errors| format!("{}tested {}", told(errors), this.module))
}

/// Where the crate whose test is running has its scenarios.
fn folder_of_this_crate() -> PathBuf {
    std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from).unwrap_or_default().join("scenarios")
}

/// The crate whose test is running.
struct ThisCrate {
    module: Artifact,
    scenarios: PathBuf,
}

impl ThisCrate {
    fn build() -> Result<Self, String> {
        let module = crate::build::here().map_err(|error| error.to_string())?;
        Ok(ThisCrate { module, scenarios: folder_of_this_crate() })
    }

    /// What scenarios call it.
    fn name(&self) -> &str {
        self.module.path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default()
    }

    fn resolve(&self, name: &str) -> Result<PathBuf, String> {
        if self.name() == name {
            Ok(self.module.path.clone())
        } else {
            Err(format!("this crate builds {}", self.module.path.display()))
        }
    }
}

/// A scenario as it was written, and what came of it.
struct Ran {
    manifest: Manifest,
    replay: Replay,
}

impl Scenario {
    /// Runs the scenario and tells its story.
    ///
    /// # Errors
    /// All but [`ScenarioError::Differs`].
    pub fn run(&self, modules: &Arc<Modules>, resolve: Resolve<'_>) -> Result<String, ScenarioError> {
        let Ran { manifest, replay } = self.replay(modules, resolve)?;
        Ok(story::tell(&manifest, &replay, &Report::of(&replay, Vec::new())))
    }

    fn replay(&self, modules: &Arc<Modules>, resolve: Resolve<'_>) -> Result<Ran, ScenarioError> {
        let place = self.folder.join("scenario.yaml");
        let text = std::fs::read_to_string(&place)
            .map_err(|source| ScenarioError::Io { path: place.clone(), source })?;
        Ran::of(&text, &place, modules, resolve)
    }

    /// Runs the scenario and holds its story against the expected one.
    ///
    /// # Errors
    /// Any.
    pub fn check(
        &self,
        modules: &Arc<Modules>,
        resolve: Resolve<'_>,
        bless: Bless,
    ) -> Result<(), ScenarioError> {
        let found = self.run(modules, resolve)?;
        let path = self.folder.join("expected.txt");
        if bless == Bless::Yes {
            return std::fs::write(&path, found).map_err(|source| ScenarioError::Io { path, source });
        }
        let expected = std::fs::read_to_string(&path).map_err(|source| ScenarioError::Io { path, source })?;
        if found == expected {
            return Ok(());
        }
        Err(ScenarioError::Differs { folder: self.folder.clone(), difference: difference(&expected, &found) })
    }
}

impl Ran {
    /// Runs what was written; files that it names stand beside `place`.
    fn of(
        text: &str,
        place: &Path,
        modules: &Arc<Modules>,
        resolve: Resolve<'_>,
    ) -> Result<Self, ScenarioError> {
        let shown = place.display().to_string();
        let manifest = Manifest::parse(text, &shown)?;
        let recording = manifest.recording(place)?;
        let services = || manifest.callouts.services();
        let replay = manifest.replay(recording, NonZeroU32::MIN, &services, (&shown, modules, resolve))?;
        Ok(Ran { manifest, replay })
    }
}

impl Manifest {
    /// What comes of the traffic in a proxy with so many workers.
    fn replay(
        &self,
        recording: Recording,
        workers: NonZeroU32,
        services: &dyn Fn() -> Services,
        (place, modules, resolve): (&str, &Arc<Modules>, Resolve<'_>),
    ) -> Result<Replay, ScenarioError> {
        let specs = Specs::Everywhere(Arc::new(self.spec(place, resolve)?));
        let (chunking, isolation) = (self.chunking, self.isolation);
        let options = Options { chunking, isolation, workers, ledger: true, ..Options::default() };
        replay::replay(modules, &specs, recording, &options, |_| services())
            .map_err(|source| ScenarioError::Start { place: place.to_owned(), source: Box::new(source) })
    }
}

/// The lines between the first and the last that differ, with two that agree on either side.
fn difference(expected: &str, found: &str) -> Lines {
    const AROUND: usize = 2;
    let (expected, found): (Vec<&str>, Vec<&str>) = (expected.lines().collect(), found.lines().collect());
    let head = expected.iter().zip(&found).take_while(|(a, b)| a == b).count();
    let rest = expected.len().min(found.len()) - head;
    let tail = expected.iter().rev().zip(found.iter().rev()).take(rest).take_while(|(a, b)| a == b).count();
    let (end_of_expected, end_of_found) = (expected.len() - tail, found.len() - tail);
    let mut lines = Vec::new();
    lines.extend(expected[head.saturating_sub(AROUND)..head].iter().map(|line| format!("  {line}")));
    lines.extend(expected[head..end_of_expected].iter().map(|line| format!("- {line}")));
    lines.extend(found[head..end_of_found].iter().map(|line| format!("+ {line}")));
    lines.extend(found[end_of_found..].iter().take(AROUND).map(|line| format!("  {line}")));
    Lines(lines)
}
