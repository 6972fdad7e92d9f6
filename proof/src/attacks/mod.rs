//! The kit's list of attacks at header-auth and at Envoy's own filters, in one Envoy: what each lets in.

mod native;

use std::path::Path;

use anyhow::{Context as _, ensure};
use hyper::{HeaderMap, Response};
use serde_json::json;
use wayside_attack::{Gateway, LAB, Report, Target, attacks, gateway::Kind, report::Row};

use crate::{Door, Proxy, Upstream, Wasm, load::whole, table::Table};

/// Who guards a door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// Envoy's filters as one would first write them.
    Native,
    /// The same with every setting that makes them stricter.
    NativeStrict,
    Ours,
}

impl Guard {
    pub const ALL: [Guard; 3] = [Guard::Native, Guard::NativeStrict, Guard::Ours];

    const fn door(self) -> &'static str {
        match self {
            Guard::Native => "native",
            Guard::NativeStrict => "native-strict",
            Guard::Ours => "ours",
        }
    }
}

/// What became of the whole list at one door.
#[derive(Clone, Debug)]
pub struct Measured {
    pub guard: Guard,
    pub report: Report,
}

/// Attacks every guard with the same list.
///
/// # Errors
/// Envoy does not start, does not answer, or a filter of it died.
pub async fn measure(binary: &Path, module: &Path, now: u64) -> anyhow::Result<Vec<Measured>> {
    let upstream = Upstream::serve(|request| async move {
        Response::builder().body(whole(echo(request.headers()))).map_err(std::io::Error::other)
    })
    .await?;
    let doors = Guard::ALL.map(|guard| door(guard, module, &upstream));
    let mut proxy = Proxy::start(binary, 2, &doors.into_iter().collect::<anyhow::Result<Vec<_>>>()?).await?;
    let vms = proxy.vms().await?;
    let mut measured = Vec::new();
    for guard in Guard::ALL {
        let address = proxy.address(guard.door())?;
        let attack = move || -> anyhow::Result<Report> {
            let target = Target::new(&format!("http://{address}"), false)?;
            let mut gateway = Gateway::new(LAB.0, Some(LAB.1))?;
            gateway.guarded.retain(|path| path.starts_with("/admin"));
            Ok(wayside_attack::run(&target, attacks::all(&gateway, now))?)
        };
        let report = tokio::task::spawn_blocking(attack).await??;
        measured.push(Measured { guard, report });
        proxy.must_be_well()?;
    }
    ensure!(proxy.vms().await? == vms, "a VM has died: {:?}", proxy.log());
    Ok(measured)
}

/// What came to the upstream, a line a header.
fn echo(headers: &HeaderMap) -> String {
    let line = |(name, value): (&hyper::header::HeaderName, &hyper::header::HeaderValue)| {
        format!("\n{name}: {}", String::from_utf8_lossy(value.as_bytes()))
    };
    headers.iter().map(line).collect()
}

fn door(guard: Guard, module: &Path, upstream: &Upstream) -> anyhow::Result<Door> {
    let door = Door::new(guard.door(), upstream.address);
    if guard == Guard::Ours {
        let configuration = serde_json::from_str(LAB.0).context("the lab's configuration")?;
        let filter = Wasm { module: module.to_owned(), vm_id: "header-auth".to_owned(), configuration };
        return Ok(Door { may_hold_headers: true, ..door.filters([filter]) });
    }
    let strict = guard == Guard::NativeStrict;
    let manager = if strict {
        json!({
            "normalize_path": true,
            "merge_slashes": true,
            "path_with_escaped_slashes_action": "REJECT_REQUEST",
            "common_http_protocol_options": { "headers_with_underscores_action": "REJECT_REQUEST" },
        })
    } else {
        json!({})
    };
    Ok(Door { native: native::filters(strict)?, routes: native::routes(guard.door())?, manager, ..door })
}

/// The table of header-auth's README: the list of the specification line by line, the rest by chapters.
///
/// # Errors
/// Envoy does not start, or does not answer.
pub async fn table(binary: &Path, module: &Path, now: u64) -> anyhow::Result<Table> {
    let measured = measure(binary, module, now).await?;
    let reports: Vec<&Report> = measured.iter().map(|measured| &measured.report).collect();
    let first = reports.first().context("nobody was attacked")?;
    let mut rows = Vec::new();
    for (at, row) in first.rows.iter().enumerate() {
        if !LISTED.contains(&row.group) {
            continue;
        }
        let mut cells = vec![format!("{}: `{}`", row.group, row.name), row.must.to_string()];
        for report in &reports {
            let row = report.rows.get(at).context("every guard gets the same list")?;
            cells.push(cell(row));
        }
        rows.push(cells);
    }
    let mut chapters: Vec<&str> = first.rows.iter().map(|row| row.group).collect();
    chapters.dedup();
    let signed = signed_requests()?;
    for chapter in chapters {
        let counts = measured.iter().map(|Measured { guard, report }| {
            // What Envoy has no filter for lets everybody in.
            if *guard != Guard::Ours && chapter == "signatures" {
                return "no such filter".to_owned();
            }
            let has_filter =
                |row: &&Row| *guard == Guard::Ours || !signed.iter().any(|name| row.name.ends_with(name));
            let of_it: Vec<&Row> =
                report.rows.iter().filter(|row| row.group == chapter).filter(has_filter).collect();
            let wrong = of_it.iter().filter(|row| row.verdict.is_wrong()).count();
            format!("{wrong} of {} wrong", of_it.len())
        });
        let cells = [format!("**{chapter}**, all"), String::new()].into_iter().chain(counts);
        rows.push(cells.collect());
    }
    let caption = "`cargo xtask bench attacks`: the list of `wayside attack` in one Envoy, two workers. Native is `jwt_authn`, `api_key_auth` and \
        `basic_auth` without options, and with all that make them and the path handling stricter. Statuses that are not as they must be are bold."
        .to_owned();
    let columns = ["attack", "must", "native", "native, strictest", "**header-auth**"];
    Ok(Table { caption, columns: columns.map(str::to_owned).to_vec(), rows })
}

/// How attacks end on what the lab has of signed requests, for which Envoy has no filter.
fn signed_requests() -> anyhow::Result<Vec<String>> {
    let gateway = Gateway::new(LAB.0, Some(LAB.1))?;
    let signed = gateway
        .providers
        .iter()
        .filter(|provider| matches!(provider.kind, Kind::Signatures(_) | Kind::Webhooks(_)));
    Ok(signed.map(|provider| format!("({})", provider.name)).collect())
}

/// Chapters that the table shows line by line.
const LISTED: [&str; 3] = ["tokens", "header forms", "paths"];

fn cell(row: &Row) -> String {
    if row.verdict.is_wrong() { format!("**{}**", row.seen) } else { row.seen.clone() }
}
