//! `wayside inspect`: a module, a recording or an Envoy configuration, told by its content.

use std::{
    fmt::Write as _,
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};

use super::{BadInput, Verdict, args::InspectArguments};
use crate::{
    envoy_config::{self, Loaded},
    message::NoteKind,
    proxy::spec::{FilterSpec, PluginSpec},
    traffic::{self, Limits, Summary},
    vm::module::ModuleInfo,
};

pub(super) fn run(arguments: &InspectArguments) -> Result<Verdict, BadInput> {
    let path = &arguments.file;
    if arguments.capabilities {
        super::print(&capabilities(&read_module(path)?.1));
        return Ok(Verdict::AsExpected);
    }
    let text = match kind_of(path)? {
        Kind::Module => module(path)?,
        Kind::Configuration => configuration(path)?,
        Kind::Recording => return recording(path),
    };
    super::print(&text);
    Ok(Verdict::AsExpected)
}

enum Kind {
    Module,
    Configuration,
    Recording,
}

/// Modules have a magic number, or the name of one; a bootstrap names its resources near its beginning.
fn kind_of(path: &Path) -> Result<Kind, BadInput> {
    if path.is_dir() {
        return Ok(Kind::Recording);
    }
    let mut head = Vec::new();
    let unreadable = |error| BadInput(format!("{}: cannot be read: {error}", path.display()));
    File::open(path).map_err(unreadable)?.take(64 * 1024).read_to_end(&mut head).map_err(unreadable)?;
    let named = |extension: &str| path.extension().is_some_and(|found| found.eq_ignore_ascii_case(extension));
    let holds = |words: &[u8]| head.windows(words.len()).any(|window| window == words);
    if head.starts_with(b"\0asm") || named("wasm") {
        Ok(Kind::Module)
    } else if (named("yaml") || named("yml"))
        && (head.starts_with(b"connections:") || holds(b"\nconnections:"))
    {
        Ok(Kind::Recording)
    } else if named("yaml") || named("yml") || (named("json") && holds(b"static_resources")) {
        Ok(Kind::Configuration)
    } else {
        Ok(Kind::Recording)
    }
}

fn read_module(path: &Path) -> Result<(Vec<u8>, ModuleInfo), BadInput> {
    let bytes = std::fs::read(path)
        .map_err(|error| BadInput(format!("{}: cannot be read: {error}", path.display())))?;
    let info = ModuleInfo::parse(&bytes, path.display().to_string()).map_err(BadInput::of)?;
    Ok((bytes, info))
}

/// The field of a plugin's configuration that allows what the module can ask for, and nothing else.
fn capabilities(info: &ModuleInfo) -> String {
    let mut out = String::from("capability_restriction_config:\n  allowed_capabilities:\n");
    let needed = info.capabilities();
    for name in &needed {
        let _ = writeln!(out, "    {name}: {{}}");
    }
    if needed.is_empty() {
        return "# It needs nothing, and to Envoy an empty list restricts nothing.\n".to_owned();
    }
    out
}

fn module(path: &Path) -> Result<String, BadInput> {
    let (bytes, info) = read_module(path)?;
    let mut out = String::new();
    let _ = writeln!(out, "{}: a Proxy-Wasm module, ABI {}, {} bytes", info.name, info.abi, info.len);
    let _ = writeln!(out, "sha256     {}", hex::encode(Sha256::digest(&bytes)));
    let _ = writeln!(out, "allocator  {}", info.allocator.export());
    let callbacks: Vec<&str> = info.callbacks.iter().map(|callback| callback.name).collect();
    let _ = writeln!(out, "callbacks  {}", callbacks.join(" "));
    let imports: Vec<String> =
        info.imports.iter().map(|import| format!("{}.{}", import.module, import.name)).collect();
    let _ = writeln!(out, "imports    {}", imports.join(" "));
    for producer in &info.producers {
        let _ = writeln!(out, "made by    {producer:?}");
    }
    Ok(out)
}

fn configuration(path: &Path) -> Result<String, BadInput> {
    let Loaded { spec, unsupported } = envoy_config::load(path).map_err(BadInput::of)?;
    let mut out = String::new();
    let _ = writeln!(out, "{}: an Envoy configuration, proxy {:?}", path.display(), spec.name);
    for listener in &spec.listeners {
        let address = listener.address.map(|address| address.to_string()).unwrap_or_default();
        let _ = writeln!(out, "listener {} {} {address}", listener.name, listener.direction);
        for filter in listener.http.http_filters.filters() {
            match filter {
                FilterSpec::Wasm(plugin) => plugin_line(&mut out, plugin),
                FilterSpec::Router(router) => drop(writeln!(out, "  {} (router)", router.filter_name)),
            }
        }
    }
    for listener in &spec.tcp_listeners {
        let _ = writeln!(out, "listener {} tcp, to cluster {}", listener.name, listener.cluster);
        for plugin in &listener.filters {
            plugin_line(&mut out, plugin);
        }
    }
    for (name, cluster) in &spec.clusters {
        let _ = writeln!(out, "cluster {name}: {} endpoints", cluster.endpoints.len());
    }
    let _ = writeln!(out, "seen, not emulated: {}", unsupported.len());
    for part in unsupported {
        let _ = writeln!(out, "  {part}");
    }
    Ok(out)
}

fn plugin_line(out: &mut String, plugin: &PluginSpec) {
    let _ = writeln!(
        out,
        "  {} {:?} failure policy {:?}",
        plugin.filter_name, plugin.vm.code, plugin.failure_policy
    );
}

/// Exit status 1 where something of the recording could not be used.
fn recording(path: &Path) -> Result<Verdict, BadInput> {
    let loaded =
        traffic::load_with_files(&[PathBuf::from(path)], &Limits::default()).map_err(BadInput::of)?;
    let summary = Summary::of(&loaded.recording, &loaded.files);
    let mut out = String::new();
    let of_exchanges = summary.groups.iter().map(|group| &group.proxy);
    let of_connections = summary.connections.iter().map(|group| &group.proxy);
    let proxies = of_exchanges.chain(of_connections).collect::<std::collections::BTreeSet<_>>().len();
    let connections = match loaded.recording.connections.len() {
        0 => String::new(),
        many => format!(" and {many} connections"),
    };
    let _ = writeln!(
        out,
        "{}: a recording, {} exchanges{connections} from {proxies} proxies",
        path.display(),
        summary.exchanges
    );
    for group in &summary.groups {
        let _ = writeln!(
            out,
            "  {:<14} {:<11} {:>5} exchanges, {} without response, {} with times; bodies {} up, {} down (largest {}, {})",
            group.proxy,
            group.direction.to_string(),
            group.exchanges,
            group.without_response,
            group.with_times,
            group.requests.total,
            group.responses.total,
            group.requests.largest,
            group.responses.largest,
        );
    }
    for group in &summary.connections {
        let _ = writeln!(
            out,
            "  {:<14} {:<11} {:>5} connections; {} from clients, {} from servers",
            group.proxy, "tcp", group.connections, group.client, group.server
        );
    }
    for (kind, count) in &summary.notes {
        let _ = writeln!(out, "note {kind:?} × {count}");
    }
    for note in &loaded.recording.notes {
        let _ = writeln!(out, "  {}: {}", note.place, note.text);
    }
    super::print(&out);
    let lost = [NoteKind::RecordSkipped, NoteKind::TornRecord, NoteKind::FileSkipped];
    let torn = lost.iter().any(|kind| summary.notes.contains_key(kind));
    Ok(if torn { Verdict::Differed } else { Verdict::AsExpected })
}
