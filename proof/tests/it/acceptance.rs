//! Every acceptance case has a test or a scenario that carries its id.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, ensure};

/// Shown by a benchmark: the README says why.
const NOT_TESTED: [&str; 3] = ["rb_15", "au_16", "te_14"];
/// Not there yet, as the README says.
const AWAITED: [&str; 1] = ["te_9"];

#[test]
fn every_acceptance_case_has_a_test_with_its_id_and_a_line_in_the_readme() -> anyhow::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("a workspace")?;
    let readme = fs::read_to_string(root.join("proof/README.md"))?;
    let mut names = BTreeSet::new();
    for folder in ["credentials", "filters", "otlp", "proof"] {
        collect(&root.join(folder), &mut names)?;
    }
    let ids = [("rb", 15), ("to", 12), ("au", 16), ("te", 14)];
    for (kind, number) in ids.into_iter().flat_map(|(kind, last)| (1..=last).map(move |n| (kind, n))) {
        let id = format!("{kind}_{number}");
        let told = id.to_uppercase().replace('_', "-");
        let starts = format!("{id}_");
        let shown = names.iter().any(|name| name.starts_with(&starts));
        let is_without = NOT_TESTED.contains(&id.as_str()) || AWAITED.contains(&id.as_str());
        ensure!(shown != is_without, "{told}: has a test: {shown}");
        let listed =
            readme.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-')).any(|word| word == told);
        ensure!(listed, "proof/README.md does not list {told}");
    }
    Ok(())
}

/// Names of test functions and of scenarios.
fn collect(folder: &Path, names: &mut BTreeSet<String>) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path: PathBuf = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        if path.is_dir() {
            if path.join("scenario.yaml").is_file() {
                names.insert(format!("{name}_"));
            } else {
                collect(&path, names)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path)?;
            let after_fn = text.split("fn ").skip(1).filter_map(|rest| rest.split('(').next());
            names.extend(after_fn.map(str::to_owned));
        }
    }
    Ok(())
}
