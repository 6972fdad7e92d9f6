//! `wayside replay`.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufWriter, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{BadInput, Verdict, args::ReplayArguments};
use crate::{
    clock::Seed,
    envoy_config::{self, LoadOptions, Loaded, Setting},
    replay::{self, Change, Isolation, Options, Specs},
    report::{Detail, Report, Unsupported},
    spans::Collector,
    trace::TraceLevel,
    traffic,
    upstream::Script,
    vm::{Metering, Modules},
};

pub(super) fn run(arguments: &ReplayArguments) -> Result<Verdict, BadInput> {
    let (specs, mut unsupported) = load_specs(&arguments.envoy, &arguments.set)?;
    let mut changes = Vec::new();
    for then in &arguments.then {
        let (specs, more) = load_specs(std::slice::from_ref(&then.envoy), &[])?;
        unsupported.extend(more.into_iter().filter(|part| !unsupported.contains(part)).collect::<Vec<_>>());
        changes.push(Change { at: then.at, specs, drain: arguments.drain });
    }
    let recording = traffic::load(&arguments.traffic, &traffic::Limits::default()).map_err(BadInput::of)?;
    let options = Options {
        seed: Seed(arguments.seed),
        workers: arguments.workers,
        log_level: arguments.log_level.into(),
        chunking: arguments.chunking.into(),
        isolation: arguments.isolation.into(),
        trace: if arguments.no_trace { TraceLevel::Off } else { TraceLevel::On },
        ..Options::default()
    };
    let metering = if arguments.fuel { Metering::Fuel } else { Metering::Off };
    let modules = Arc::new(match options.isolation {
        Isolation::Shared => Modules::metering_by(metering),
        Isolation::EachExchange => Modules::for_isolation(metering),
    });
    let script = load_script(arguments.callouts.as_deref())?;
    let collector = Collector::new();
    if let Some(cluster) = arguments.collector.as_deref().filter(|cluster| script.services().has(cluster)) {
        return Err(BadInput(format!("both --collector and --callouts answer for the cluster {cluster:?}")));
    }
    let services = |proxy: &str| match &arguments.collector {
        Some(cluster) => script.services().with(cluster, collector.of_proxy(proxy)),
        None => script.services(),
    };
    let replay = replay::replay_with_changes(&modules, &specs, &changes, recording, &options, services)
        .map_err(BadInput::of)?;
    if replay.proxies.is_empty() {
        return Err(no_configuration(&specs, &replay));
    }
    let mut report = Report::of(&replay, unsupported);
    if arguments.collector.is_some() {
        report = report.with_traces(&collector.received());
    }
    super::print(&report.text(Detail { each_exchange: arguments.each }));
    if let Some(path) = &arguments.json {
        write(path, |to| report.write_json(to))?;
    }
    if let Some(path) = &arguments.html {
        write(path, |to| report.write_html(to))?;
    }
    if let Some(path) = &arguments.junit {
        write(path, |to| report.write_junit(to))?;
    }
    Ok(if report.differs() { Verdict::Differed } else { Verdict::AsExpected })
}

pub(super) fn load_script(path: Option<&Path>) -> Result<Script, BadInput> {
    let Some(path) = path else {
        return Ok(Script::default());
    };
    let refused = |error: String| BadInput(format!("{}: {error}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| refused(format!("cannot be read: {error}")))?;
    Script::parse(&text).map_err(refused)
}

/// A single file stands for every proxy; folders, or several files, for the proxies they are named after.
fn load_specs(paths: &[PathBuf], settings: &[Setting]) -> Result<(Specs, Vec<Unsupported>), BadInput> {
    let mut loaded = Vec::new();
    let everywhere = matches!(paths, [path] if !path.is_dir());
    for path in paths {
        if path.is_dir() {
            loaded.extend(envoy_config::load_dir(path, &LoadOptions::default()).map_err(BadInput::of)?);
        } else {
            loaded.push(envoy_config::load(path).map_err(BadInput::of)?);
        }
    }
    apply(settings, &mut loaded)?;
    let mut named = BTreeMap::new();
    let mut unsupported = Vec::new();
    for Loaded { spec, unsupported: parts } in loaded {
        unsupported.extend(parts.into_iter().map(|part| Unsupported {
            place: part.place.to_string(),
            what: part.reason,
            weight: part.weight,
        }));
        unsupported.extend(spec.gaps().into_iter().map(|gap| Unsupported {
            place: gap.place,
            what: gap.what.to_owned(),
            weight: envoy_config::Weight::MayMatter,
        }));
        let name = spec.name.clone();
        if named.insert(name.clone(), Arc::new(spec)).is_some() {
            return Err(BadInput(format!("two configurations stand for the proxy {name:?}: give one")));
        }
    }
    match named.pop_first() {
        Some((_, spec)) if everywhere => Ok((Specs::Everywhere(spec), unsupported)),
        Some((name, spec)) => {
            named.insert(name, spec);
            Ok((Specs::Named(named), unsupported))
        }
        None => Err(BadInput(format!("{}: no configuration found", list(paths)))),
    }
}

/// A setting must change at least one of the configurations.
fn apply(settings: &[Setting], loaded: &mut [Loaded]) -> Result<(), BadInput> {
    for setting in settings {
        let mut refusal = None;
        let mut applied = 0;
        for configuration in loaded.iter_mut() {
            match setting.apply(&mut configuration.spec) {
                Ok(plugins) => applied += plugins,
                Err(error) => refusal = Some(error),
            }
        }
        if let (0, Some(error)) = (applied, refusal) {
            return Err(BadInput(format!("--set {error}")));
        }
    }
    Ok(())
}

fn no_configuration(specs: &Specs, replay: &replay::Replay) -> BadInput {
    let of_exchanges = replay.unmatched.iter().map(|exchange| &*exchange.id.proxy);
    let of_connections = replay.unmatched_connections.iter().map(|connection| &*connection.proxy);
    let mut recorded: Vec<&str> = of_exchanges.chain(of_connections).collect();
    recorded.dedup();
    let given: Vec<&str> = match specs {
        Specs::Everywhere(spec) => vec![&spec.name],
        Specs::Named(named) => named.keys().map(String::as_str).collect(),
    };
    BadInput(format!(
        "no configuration stands for any recorded proxy: recorded were {}, given were {}",
        recorded.join(", "),
        given.join(", ")
    ))
}

pub(super) fn write(
    path: &Path,
    form: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> Result<(), BadInput> {
    let failed = |error: io::Error| BadInput(format!("{}: cannot be written: {error}", path.display()));
    let mut file = BufWriter::new(File::create(path).map_err(failed)?);
    form(&mut file).map_err(failed)?;
    file.flush().map_err(failed)
}

fn list(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}
