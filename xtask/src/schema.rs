//! The filters' configurations as JSON Schema: printed, or written beside each filter.

use crate::root;
use anyhow::{Context as _, ensure};
use std::fs;
use wayside_schemas::FILTERS;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A filter, such as `timeout`; all of them without one
    filter: Option<String>,
    /// Into `filters/<name>/config.schema.json` instead of the standard output
    #[arg(long)]
    write: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let chosen: Vec<_> = FILTERS
        .iter()
        .filter(|filter| args.filter.as_deref().is_none_or(|name| name == filter.name))
        .collect();
    let known = FILTERS.map(|filter| filter.name).join(", ");
    ensure!(
        !chosen.is_empty(),
        "expected one of {known}, found {}",
        args.filter.as_deref().unwrap_or_default()
    );
    for filter in chosen {
        let text = (filter.schema)();
        if args.write {
            let path = root().join("filters").join(filter.name).join("config.schema.json");
            fs::write(&path, text).with_context(|| path.display().to_string())?;
        } else {
            print!("{text}");
        }
    }
    Ok(())
}
