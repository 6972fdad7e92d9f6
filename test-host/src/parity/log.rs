//! What guests logged, from Envoy's log and from the host's trace, in the same words.

use super::live::process::Line;
use crate::{
    abi::LogLevel,
    proxy::ProxyOutcome,
    trace::{Entry, FilterNumber, Thread, What},
};

/// A plugin as Envoy's log shows it, and as it is shown here.
#[derive(Clone, Debug)]
pub(super) struct Speaker {
    pub(super) shown: String,
    pub(super) name: String,
    pub(super) root_id: String,
    pub(super) vm_id: String,
}

/// Who speaks outside of streams, where Envoy's log does not name the plugin.
pub(super) const ROOT: &str = "root";

/// A line of one of these plugins: `wasm log <name> <root id> <vm id>: <text>`, empty parts left out.
pub(super) fn in_envoy(line: &Line, speakers: &[Speaker]) -> Option<String> {
    let rest = line.text.strip_prefix("wasm log")?;
    let named = speakers.iter().map(|s| (head(&[&s.name, &s.root_id, &s.vm_id]), &s.shown[..]));
    let unnamed = speakers.iter().map(|s| (head(&[&s.root_id, &s.vm_id]), ROOT));
    let (text, who) =
        named.chain(unnamed).find_map(|(head, shown)| Some((rest.strip_prefix(&head)?, shown)))?;
    let level = match line.level.as_str() {
        "info" => String::new(),
        level => format!("[{level}] "),
    };
    Some(format!("{who}: {level}{text}"))
}

fn head(parts: &[&str]) -> String {
    let given = parts.iter().filter(|part| !part.is_empty()).map(|part| format!(" {part}"));
    given.collect::<String>() + ": "
}

/// `Function: proxy_on_request_headers failed: Uncaught RuntimeError: unreachable`
pub(super) fn fault_in_envoy(line: &Line) -> Option<String> {
    let rest = line.text.strip_prefix("Function: ")?;
    let (callback, _) = rest.split_once(" failed: ")?;
    Some(format!("FAULT in {callback}"))
}

/// A line of the host's guests.
#[derive(Clone, Debug)]
pub(super) struct HostLine {
    /// Its place in the order of what happened.
    pub(super) order: u64,
    pub(super) thread: Thread,
    pub(super) text: String,
}

/// How Envoy comes to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stopped {
    /// Nobody sees its roots end.
    ByForce,
    Asked,
}

/// All lines of a proxy, in the order in which they were logged.
pub(super) fn in_host(
    outcome: &ProxyOutcome,
    stopped: Stopped,
    shown: impl Fn(FilterNumber) -> String,
) -> Vec<HostLine> {
    let streams = outcome.outcomes.iter().flat_map(|outcome| &outcome.trace.entries);
    let streams = streams.chain(outcome.connections.iter().flat_map(|outcome| &outcome.trace.entries));
    let named = streams.map(|entry| (entry, entry.filter.map(&shown).unwrap_or_default()));
    let outside = outcome.trace.entries.iter().map(|entry| (entry, ROOT.to_owned()));
    let is_seen = |entry: &Entry| stopped == Stopped::Asked || entry.order < outcome.shut_down_at;
    let seen = named.chain(outside).filter(|(entry, _)| is_seen(entry));
    let lines = seen.filter_map(|(entry, who)| line(entry, &who));
    let mut lines: Vec<HostLine> = lines.collect();
    lines.sort_by_key(|line| line.order);
    lines
}

/// The lines of a start that came to no end.
pub(super) fn at_start(entries: &[Entry]) -> Vec<HostLine> {
    entries.iter().filter_map(|entry| line(entry, ROOT)).collect()
}

fn line(entry: &Entry, who: &str) -> Option<HostLine> {
    let text = told(who, &entry.what)?;
    Some(HostLine { order: entry.order, thread: entry.thread, text })
}

fn told(who: &str, what: &What) -> Option<String> {
    match what {
        // As Envoy's log shows line ends.
        What::Logged { level, text } => Some(format!(
            "{who}: {}{}",
            told_level(*level),
            String::from_utf8_lossy(text).replace('\n', "\\n")
        )),
        What::Fault { reason } => Some(format!("FAULT in {}", callback_of(reason))),
        _ => None,
    }
}

/// Nothing for what most lines are.
fn told_level(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Trace => "[trace] ",
        LogLevel::Debug => "[debug] ",
        LogLevel::Info => "",
        LogLevel::Warn => "[warning] ",
        LogLevel::Error => "[error] ",
        LogLevel::Critical => "[critical] ",
    }
}

/// `trapped in on_request_headers: …`
fn callback_of(reason: &str) -> String {
    let after = reason.split_once(" in ").map_or(reason, |(_, rest)| rest);
    let name = after.split([':', ' ']).next().unwrap_or(after);
    if name.starts_with("on_") { format!("proxy_{name}") } else { name.to_owned() }
}
