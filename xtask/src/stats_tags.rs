//! Which labels the filters' metrics have, as Envoy's bootstrap wants to be told.

use anyhow::Context;
use std::collections::BTreeSet;
use std::path::Path;

/// Prints the entry `stats_config` for all filters.
pub(crate) fn run() -> anyhow::Result<()> {
    let labels = labels(&crate::root().join("filters"))?;
    print!("{}", wayside_sdk::metrics::stats_tags(labels.iter().map(String::as_str)));
    Ok(())
}

/// The labels in what the filters' scenarios are expected to count: what no scenario shows, no filter is known to have.
fn labels(filters: &Path) -> anyhow::Result<BTreeSet<String>> {
    let mut labels = BTreeSet::new();
    for filter in folders(filters)? {
        let scenarios = filter.join("scenarios");
        let scenarios = if scenarios.is_dir() { folders(&scenarios)? } else { Vec::new() };
        for scenario in scenarios {
            let path = scenario.join("expected.txt");
            let text =
                std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            labels.extend(text.lines().flat_map(in_line).map(str::to_owned));
        }
    }
    Ok(labels)
}

fn folders(folder: &Path) -> anyhow::Result<Vec<std::path::PathBuf>> {
    let mut folders = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            folders.push(path);
        }
    }
    Ok(folders)
}

/// `counter  l7_rule=.=a;.;l7_phase=.=b;.;l7_x_total = 2` has `rule` and `phase`.
fn in_line(line: &str) -> impl Iterator<Item = &str> {
    line.split(";.;").filter_map(|part| part.split_once("=.=")?.0.rsplit(' ').next()?.strip_prefix("l7_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_found_wherever_they_stand_in_a_line() {
        let line = "counter    l7_rule=.=a b;.;l7_phase=.=x=.y;.;l7_timeout_enforced_total = 2";
        assert_eq!(in_line(line).collect::<Vec<_>>(), ["rule", "phase"]);
        assert_eq!(in_line("histogram  l7_x_ms count 1 sum 2").count(), 0);
    }

    #[test]
    fn the_example_configuration_tells_envoy_of_every_label_and_of_no_other() {
        let path = crate::root().join("examples/envoy/envoy.yaml");
        let example = std::fs::read_to_string(path).unwrap();
        let entries = |text: &str| {
            text.lines()
                .filter(|line| line.contains("tag_name:"))
                .map(|l| l.trim().to_owned())
                .collect::<BTreeSet<_>>()
        };
        let labels = labels(&crate::root().join("filters")).unwrap();
        let ours = wayside_sdk::metrics::stats_tags(labels.iter().map(String::as_str));
        assert_eq!(entries(&example), entries(&ours));
    }
}
