//! `wayside check`.

use std::path::{Path, PathBuf};

use super::{BadInput, Verdict, args::CheckArguments};
use crate::scenario::{self, Bless, ScenarioError};

pub(super) fn run(arguments: &CheckArguments) -> Result<Verdict, BadInput> {
    let bless = if arguments.bless { Bless::Yes } else { Bless::No };
    let resolve = |module: &str| resolve(&arguments.modules, module);
    let mut checked = 0;
    let mut differed = Vec::new();
    for folder in &arguments.folders {
        match scenario::check_all(folder, &resolve, bless) {
            Ok(scenarios) => checked += scenarios,
            Err(errors) => differed.extend(errors),
        }
    }
    if let Some(broken) = differed.iter().find(|error| !matches!(error, ScenarioError::Differs { .. })) {
        return Err(BadInput::of(broken));
    }
    for difference in &differed {
        super::print(&format!("{difference}\n"));
    }
    let verb = if arguments.bless { "accepted" } else { "as expected" };
    super::print(&format!("{checked} scenarios {verb}, {} differ\n", differed.len()));
    Ok(if differed.is_empty() { Verdict::AsExpected } else { Verdict::Differed })
}

fn resolve(folder: &Path, module: &str) -> Result<PathBuf, String> {
    let path = folder.join(format!("{module}.wasm"));
    if path.is_file() {
        Ok(path)
    } else {
        Err(format!("no file {}; --modules names the folder", path.display()))
    }
}
