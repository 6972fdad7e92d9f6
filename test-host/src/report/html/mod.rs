//! The report as one HTML file: no other file, no network, readable without its script.
//!
//! Everything shown goes through [`Shown`], and the page's own policy lets no script run but the one here: what a
//! recording holds can neither run nor hide anything.

mod connections;
mod exchange;
mod groups;
mod proxies;
mod shown;
mod summary;
mod traces;

use std::io::{self, Write};

use base64::Engine as _;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest as _, Sha256};

use super::Report;
use shown::{Shown, number};

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("filter.js");

/// Rows of one list; what goes beyond is counted.
const ROWS: usize = 500;

impl Report {
    /// The report as one HTML file. Of more than 5,000 exchanges, or 24 MiB of them, the rest is counted, not shown.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn write_html(&self, mut to: impl Write) -> io::Result<()> {
        to.write_all(page(self).into_string().as_bytes())
    }
}

fn page(report: &Report) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy());
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { "Wayside replay: " (number(report.totals.exchanges)) " exchanges" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { "Wayside replay" }
                    nav {
                        a href="#exchanges" { "Exchanges" }
                        @if !report.connections.is_empty() { a href="#connections" { "Connections" } }
                        @if report.traces.is_some() { a href="#traces" { "Traces" } }
                        a href="#filters" { "Filters" }
                        a href="#modules" { "Modules" }
                        a href="#proxies" { "Proxies" }
                        a href="#remarks" { "Notes" }
                    }
                }
                main {
                    (summary::totals(report))
                    section id="exchanges" { (groups::section(&report.exchanges, groups::Limits::default())) }
                    @if !report.connections.is_empty() { section id="connections" { (connections::section(&report.connections)) } }
                    @if let Some(traces) = &report.traces { section id="traces" { (traces::section(traces)) } }
                    section id="filters" { (summary::filters(report)) }
                    section id="modules" { (summary::modules(report)) }
                    section id="proxies" { (proxies::section(report)) }
                    section id="remarks" { (summary::remarks(report)) }
                }
                footer {
                    "Times are virtual, since the replay began. Costs are counted, not timed: the same on every machine. "
                    "Everything here, uncut, is in the JSON report (" code { "--json" } ", schema " code { (report.schema) } ")."
                }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    }
}

/// Only this page's own style and script, and nothing from anywhere else.
fn policy() -> String {
    let hash = |text: &str| base64::engine::general_purpose::STANDARD.encode(Sha256::digest(text));
    format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; base-uri 'none'; form-action 'none'",
        hash(STYLE),
        hash(SCRIPT)
    )
}

/// A list's first rows, and how many more there are.
fn listed<T>(items: &[T], most: usize, what: &str, row: impl Fn(&T) -> Markup) -> Markup {
    html! {
        ul {
            @for item in items.iter().take(most) { li { (row(item)) } }
            @if items.len() > most { li.more { (more(items.len() - most, what)) } }
        }
    }
}

fn more(count: usize, what: &str) -> Markup {
    html! { (number(count)) " more " (Shown(what)) " in the JSON report (" code { "--json" } ")" }
}
