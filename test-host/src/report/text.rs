//! The report for people: totals first, then what a client would have noticed; each exchange on request.

use std::fmt::{self, Display, Formatter, Write as _};

use super::{
    Change, ChangeKind, ConnectionReport, Count, Effect, ExchangeReport, FilterStep, NoteReport, ProxyReport,
    Report, TraceReport, connection::fate_of,
};
use crate::replay::Isolation;

/// How much the text tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Detail {
    /// Every exchange, filter by filter, instead of only those a client would have noticed.
    pub each_exchange: bool,
}

/// Of visible differences, unless every exchange is asked for.
const LISTED: usize = 20;

impl Report {
    /// The report as text.
    pub fn text(&self, detail: Detail) -> impl Display + '_ {
        Text { report: self, detail }
    }
}

impl Report {
    /// One exchange's block of the text.
    pub(crate) fn story_of<'a>(&'a self, exchange: &'a ExchangeReport) -> impl Display + 'a {
        fmt::from_fn(move |f| each(f, exchange))
    }
}

struct Text<'a> {
    report: &'a Report,
    detail: Detail,
}

impl Display for Text<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let report = self.report;
        modules(f, report)?;
        if self.detail.each_exchange {
            for exchange in &report.exchanges {
                each(f, exchange)?;
            }
            for connection in &report.connections {
                each_connection(f, connection)?;
            }
        }
        proxies(f, report)?;
        filters(f, report)?;
        if report.connections.is_empty() || !report.exchanges.is_empty() {
            differences(f, report, self.detail)?;
        }
        connections(f, report, self.detail)?;
        traces(f, report, self.detail)?;
        remarks(f, report)?;
        headline(f, report)
    }
}

fn headline(f: &mut Formatter<'_>, report: &Report) -> fmt::Result {
    let totals = &report.totals;
    let (exchanges, proxies) =
        (plural(totals.exchanges, "exchange"), plural_of(totals.proxies, "proxy", "proxies"));
    let connections = match totals.connections.connections {
        0 => String::new(),
        many => format!(" and {}", plural(many, "connection")),
    };
    writeln!(
        f,
        "{exchanges}{connections} from {proxies}: {} changed, {} as a client would notice; {} hung, {} failed",
        totals.changed + totals.connections.changed,
        totals.visible_differences + totals.connections.visible_differences,
        totals.hung + totals.connections.hung,
        totals.faults
    )
}

/// Those whose client would have noticed; with every exchange, all of them.
fn connections(f: &mut Formatter<'_>, report: &Report, detail: Detail) -> fmt::Result {
    let totals = &report.totals.connections;
    if totals.connections == 0 {
        return Ok(());
    }
    writeln!(
        f,
        "{}: {} changed, {} as a client would notice; {} hung",
        plural(totals.connections, "connection"),
        totals.changed,
        totals.visible_differences,
        totals.hung
    )?;
    let noticed = |connection: &&ConnectionReport| connection.visible || connection.hung;
    let told: Vec<_> = report.connections.iter().filter(noticed).collect();
    let listed = if detail.each_exchange { told.len() } else { LISTED };
    for connection in told.iter().take(listed) {
        writeln!(f, "  {}  {}", connection.id, fate_of(connection))?;
    }
    if told.len() > listed {
        writeln!(f, "  … and {} more; --each lists all", told.len() - listed)?;
    }
    writeln!(f)
}

fn each_connection(f: &mut Formatter<'_>, connection: &ConnectionReport) -> fmt::Result {
    let from = connection.client.as_ref().map(|client| format!(" from {client}")).unwrap_or_default();
    writeln!(f, "{}  {}{from}", connection.id, connection.listener)?;
    let took = connection.ended_us.saturating_sub(connection.started_us);
    let (at, took) = (milliseconds(connection.started_us), milliseconds(took));
    writeln!(f, "  at {at}, took {took}: {}", fate_of(connection))?;
    steps(f, &connection.filters, &connection.proxy, &connection.notes)
}

fn modules(f: &mut Formatter<'_>, report: &Report) -> fmt::Result {
    let mut seen: Vec<(&str, &str)> = Vec::new();
    writeln!(f, "modules")?;
    for filter in report.proxies.iter().flat_map(|proxy| &proxy.filters) {
        if seen.contains(&(&filter.name, &filter.sha256)) {
            continue;
        }
        seen.push((&filter.name, &filter.sha256));
        writeln!(
            f,
            "  {:<14} {:>8} bytes  sha256 {}  {}",
            filter.name, filter.bytes, filter.sha256, filter.file
        )?;
    }
    writeln!(f)
}

fn proxies(f: &mut Formatter<'_>, report: &Report) -> fmt::Result {
    writeln!(f, "proxies")?;
    for proxy in &report.proxies {
        writeln!(f, "  {:<14} {:<16} configuration {}", proxy.name, carried(proxy), proxy.configuration)?;
        for event in proxy.events.iter().take(LISTED) {
            let filter = event.filter.as_deref().unwrap_or("proxy");
            writeln!(f, "      {:>10}  {filter}: {}", milliseconds(event.at_us), event.said)?;
        }
        if proxy.events.len() > LISTED {
            writeln!(
                f,
                "      … and {} more events outside streams, in the JSON report",
                proxy.events.len() - LISTED
            )?;
        }
        for (hostcall, calls) in &proxy.unimplemented {
            writeln!(
                f,
                "      {hostcall} is not implemented by this host: called {calls} times, answered 12 each time"
            )?;
        }
    }
    writeln!(f)
}

/// How much a proxy had to do.
pub(super) fn carried(proxy: &ProxyReport) -> String {
    match (proxy.exchanges, proxy.connections) {
        (exchanges, 0) => plural(exchanges, "exchange"),
        (0, connections) => plural(connections, "connection"),
        (exchanges, connections) => {
            format!("{}, {}", plural(exchanges, "exchange"), plural(connections, "connection"))
        }
    }
}

fn filters(f: &mut Formatter<'_>, report: &Report) -> fmt::Result {
    let metered = report.is_metered();
    let fuel_column = |text: &str| if metered { format!(" {text:>13}") } else { String::new() };
    writeln!(
        f,
        "{:<16} {:>9} {:>8} {:>9} {:>7} {:>7} {:>5} {:>8} {:>10}{} {:>6}",
        "filter",
        "exchanges",
        "changed",
        "answered",
        "paused",
        "called",
        "logs",
        "metrics",
        "hostcalls/x",
        fuel_column("fuel/x"),
        "failed"
    )?;
    for (name, sum) in &report.totals.filters {
        let each = |total: u64| total.checked_div((sum.exchanges + sum.connections) as u64).unwrap_or(0);
        writeln!(
            f,
            "  {name:<14} {:>9} {:>8} {:>9} {:>7} {:>7} {:>5} {:>8} {:>11}{} {:>6}",
            sum.exchanges + sum.connections,
            sum.changed,
            sum.answered,
            sum.paused,
            sum.callouts,
            sum.log_lines,
            sum.counted,
            each(sum.cost.calls()),
            fuel_column(&each(sum.cost.fuel.unwrap_or_default()).to_string()),
            sum.faults,
        )?;
    }
    if !report.traced {
        writeln!(
            f,
            "  (no trace was kept: what filters changed, answered, logged and counted is not listed)"
        )?;
    }
    let counted = if metered { "hostcalls/x and fuel/x" } else { "hostcalls/x" };
    writeln!(f, "  ({counted}: mean of an exchange; counted, so the same on every machine)\n")
}

fn differences(f: &mut Formatter<'_>, report: &Report, detail: Detail) -> fmt::Result {
    let statuses: Vec<String> =
        report.totals.statuses.iter().map(|(status, n)| format!("{status} × {n}")).collect();
    writeln!(f, "statuses: {}", statuses.join(", "))?;
    let visible: Vec<_> = report.exchanges.iter().filter(|exchange| exchange.visible).collect();
    if visible.is_empty() {
        return writeln!(f, "no client would have noticed a difference\n");
    }
    writeln!(f, "what clients would have noticed")?;
    let listed = if detail.each_exchange { visible.len() } else { LISTED };
    for exchange in visible.iter().take(listed) {
        writeln!(f, "  {}  {} {}  {}", exchange.id, exchange.method, exchange.path, change_of(exchange))?;
    }
    if visible.len() > listed {
        writeln!(f, "  … and {} more; --each lists all", visible.len() - listed)?;
    }
    writeln!(f)
}

/// The status before and after, who answered, and where only that stayed the same, what else differs for the client.
pub(super) fn change_of(exchange: &ExchangeReport) -> String {
    let mut said = answer_of(exchange);
    if exchange.recorded_status == exchange.replayed_status {
        let fields = exchange
            .differences
            .iter()
            .filter(|d| d.place.is_some_and(|p| p >= crate::replay::Place::ResponseHeaders));
        let names: Vec<String> =
            fields.map(|d| d.name.as_ref().map_or(d.what.to_owned(), |n| n.to_string())).collect();
        if !names.is_empty() {
            let _ = write!(said, "  differs in {}", names.join(", "));
        }
    }
    said
}

/// The status before and after, and who answered.
pub(super) fn answer_of(exchange: &ExchangeReport) -> String {
    let status =
        |status: &Option<super::Text>| status.as_ref().map_or("no answer".to_owned(), super::Text::to_string);
    let mut said = format!("{} → {}", status(&exchange.recorded_status), status(&exchange.replayed_status));
    let answered = exchange.filters.iter().find_map(|filter| Some((filter, filter.answered.as_ref()?)));
    if let Some((filter, answer)) = answered {
        let _ = write!(said, "  answered by {} ({})", filter.name, answer.details);
    }
    for event in &exchange.proxy {
        if event.said.starts_with("answered ") {
            let _ = write!(said, "  the router {}", event.said);
        }
    }
    said
}

/// Of traces, unless every exchange is asked for: those that took longest.
const TRACES: usize = 3;

fn traces(f: &mut Formatter<'_>, report: &Report, detail: Detail) -> fmt::Result {
    let Some(received) = &report.traces else {
        return Ok(());
    };
    let spans = received.traces.iter().map(|trace| trace.hops.len()).sum();
    writeln!(f, "{} of {}", plural(received.traces.len(), "trace"), plural(spans, "exported span"))?;
    let listed = if detail.each_exchange { received.traces.len() } else { TRACES };
    for trace in received.slowest().into_iter().take(listed) {
        each_trace(f, trace)?;
    }
    if received.traces.len() > listed {
        writeln!(f, "  … and {} more; --each lists all", received.traces.len() - listed)?;
    }
    for refused in received.refused.iter().take(LISTED) {
        writeln!(f, "  refused an export: {refused}")?;
    }
    if received.refused.len() > LISTED {
        writeln!(f, "  … and {} more refused", received.refused.len() - LISTED)?;
    }
    writeln!(f)
}

fn each_trace(f: &mut Formatter<'_>, trace: &TraceReport) -> fmt::Result {
    writeln!(f, "  {}  {}", trace.trace_id, milliseconds(trace.lasted_us))?;
    for hop in &trace.hops {
        let place = format!("{:indent$}{} {}", "", hop.proxy, hop.name, indent = 2 * hop.depth);
        let failed = if hop.failed { "  failed" } else { "" };
        let origin = if hop.parent_missing { "  (its parent was not exported)" } else { "" };
        let (began, lasted) = (milliseconds(hop.started_us), milliseconds(hop.lasted_us));
        writeln!(f, "    {place:<40} {:<8} at {began:>12}, took {lasted:>12}{failed}{origin}", hop.kind)?;
    }
    Ok(())
}

fn remarks(f: &mut Formatter<'_>, report: &Report) -> fmt::Result {
    let mut kinds: std::collections::BTreeMap<String, usize> = std::collections::BTreeMap::new();
    let on_exchanges = report.exchanges.iter().flat_map(|exchange| &exchange.notes);
    let on_connections = report.connections.iter().flat_map(|connection| &connection.notes);
    for note in report.notes.iter().chain(on_exchanges).chain(on_connections) {
        *kinds.entry(format!("{:?}", note.kind)).or_default() += 1;
    }
    if !kinds.is_empty() {
        let kinds: Vec<String> = kinds.into_iter().map(|(kind, n)| format!("{kind} × {n}")).collect();
        writeln!(f, "notes on the recording: {}", kinds.join(", "))?;
    }
    for note in &report.notes {
        writeln!(f, "  {}: {}", note.place, note.text)?;
    }
    if !report.skipped.is_empty() {
        writeln!(f, "skipped, as no configuration stands for their proxy: {}", report.skipped.len())?;
        for id in report.skipped.iter().take(LISTED) {
            writeln!(f, "  {id}")?;
        }
    }
    if !report.unsupported.is_empty() {
        writeln!(f, "seen in the configuration, not emulated: {}", report.unsupported.len())?;
        for part in &report.unsupported {
            writeln!(f, "  {}: {}", part.place, part.what)?;
        }
    }
    let drawn: u64 = report.proxies.iter().map(|proxy| proxy.random_bytes).sum();
    writeln!(f, "seed {}: {} random bytes drawn", report.seed.0, drawn)?;
    if report.isolation == Isolation::EachExchange {
        writeln!(f, "each exchange had VMs, shared data and metrics of its own; metrics are added up")?;
    }
    writeln!(f)
}

fn each(f: &mut Formatter<'_>, exchange: &ExchangeReport) -> fmt::Result {
    writeln!(f, "{}  {} {} {}", exchange.id, exchange.method, exchange.authority, exchange.path)?;
    let took = exchange.ended_us.saturating_sub(exchange.started_us);
    writeln!(
        f,
        "  at {}, took {}: {}",
        milliseconds(exchange.started_us),
        milliseconds(took),
        change_of(exchange)
    )?;
    steps(f, &exchange.filters, &exchange.proxy, &exchange.notes)
}

fn steps(
    f: &mut Formatter<'_>,
    filters: &[FilterStep],
    proxy: &[Effect],
    notes: &[NoteReport],
) -> fmt::Result {
    for filter in filters {
        step(f, filter)?;
    }
    for event in proxy {
        writeln!(f, "  proxy          {}", event.said)?;
    }
    for note in notes {
        writeln!(f, "  note           {}", note.text)?;
    }
    writeln!(f)
}

fn step(f: &mut Formatter<'_>, step: &FilterStep) -> fmt::Result {
    let mut lines: Vec<String> = step.changed.iter().map(change).collect();
    if step.paused > 0 {
        lines.push(format!("paused × {}, resumed × {}", step.paused, step.resumed));
    }
    if let Some(answer) = &step.answered {
        lines.push(format!("answered {} ({}), {} bytes", answer.status, answer.details, answer.body_bytes));
    }
    lines.extend(
        step.callouts
            .iter()
            .map(|c| format!("called {} {} {} (token {})", c.cluster, c.method, c.path, c.token)),
    );
    lines.extend(step.logged.iter().map(|line| format!("logged {}: {}", line.level, line.text)));
    lines.extend(step.counted.iter().map(count));
    lines.extend(step.properties.iter().map(|path| format!("set property {path}")));
    if step.random_bytes > 0 {
        lines.push(format!("drew {} random bytes", step.random_bytes));
    }
    lines.extend(step.findings.iter().map(ToString::to_string));
    lines.extend(step.faults.iter().map(|fault| format!("FAILED: {fault}")));
    if lines.is_empty() {
        lines.push("passed".to_owned());
    }
    for (index, line) in lines.iter().enumerate() {
        writeln!(f, "  {:<14} {line}", if index == 0 { &step.name } else { "" })?;
    }
    Ok(())
}

pub(super) fn change(change: &Change) -> String {
    let name = change.name.as_ref().map(|name| format!(" {name}")).unwrap_or_default();
    let value = change.value.as_ref().map(|value| format!(": {value}")).unwrap_or_default();
    let bytes = change.bytes.map(|bytes| format!(" ({bytes} bytes)")).unwrap_or_default();
    let before = if change.before.is_empty() {
        String::new()
    } else {
        let values: Vec<String> = change.before.iter().map(super::Text::to_string).collect();
        format!(" (was {})", values.join(" | "))
    };
    let kind = match change.kind {
        ChangeKind::Added => "added",
        ChangeKind::Replaced => "replaced",
        ChangeKind::Removed if change.before.is_empty() => "found no",
        ChangeKind::Removed => "removed",
        ChangeKind::Rewritten => "rewrote all",
        ChangeKind::Prepended => "prepended to",
        ChangeKind::Appended => "appended to",
    };
    format!("{}: {kind}{name}{value}{before}{bytes}", change.place.replace('_', " "))
}

pub(super) fn count(count: &Count) -> String {
    match (count.by, count.recorded) {
        (Some(by), _) => format!("counted {} {by:+}", count.metric),
        (None, Some(value)) => format!("recorded {} = {value}", count.metric),
        (None, None) => format!("touched {}", count.metric),
    }
}

pub(super) fn milliseconds(micros: u64) -> String {
    format!("{}.{:03} ms", micros / 1000, micros % 1000)
}

pub(super) fn plural(n: usize, word: &str) -> String {
    plural_of(n, word, &format!("{word}s"))
}

pub(super) fn plural_of(n: usize, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}
