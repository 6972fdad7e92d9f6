//! One exchange's part of the report: its trace, sorted by who did what.

use bytes::Bytes;

use super::redaction::shown;
use super::{
    Answer, Callout, Change, ChangeKind, Cost, Count, Effect, ExchangeReport, FieldDifference, FilterStep,
    Finding, LogLine, Text,
};
use crate::{
    abi::MapType,
    message::HeaderMap,
    proxy::Outcome,
    replay::{Difference, ReplayedProxy},
    stream::{Action, Path},
    trace::{self, BodyEdit, Entry, FilterNumber, FindingKind, HeaderEdit, Usage, What},
};

pub(super) fn report(proxy: &ReplayedProxy, outcome: &Outcome) -> ExchangeReport {
    let exchange = &outcome.exchange;
    let pseudo = |name: &[u8]| {
        exchange.request.headers.first(name).map(Text::from).unwrap_or_else(|| Text::from(&Bytes::new()))
    };
    let status = |headers: Option<&HeaderMap>| headers.and_then(|map| map.first(b":status")).map(Text::from);
    let differences = Difference::all(outcome);
    let routed = outcome.trace.entries.iter().rev().find_map(|entry| match &entry.what {
        What::Routed { route, cluster } => Some((route.clone(), cluster.clone())),
        _ => None,
    });
    let (route, cluster) = routed.unzip();
    ExchangeReport {
        id: exchange.id.to_string(),
        worker: outcome.thread,
        origin: format!("{}@{}", exchange.origin.file.display(), exchange.origin.offset),
        method: pseudo(b":method"),
        authority: pseudo(b":authority"),
        path: pseudo(b":path"),
        started_us: outcome.started.as_micros() as u64,
        ended_us: outcome.ended.as_micros() as u64,
        end: outcome.end,
        recorded_status: status(exchange.response.as_ref().map(|message| &message.headers)),
        replayed_status: status(outcome.downstream_response.as_ref().map(|message| &message.headers)),
        details: outcome.details.as_ref().map(Text::from),
        route,
        cluster,
        filters: filters(proxy, &outcome.usage, &outcome.trace.entries),
        proxy: of_proxy(outcome),
        visible: differences.iter().any(Difference::is_visible_to_client),
        differences: differences.into_iter().map(difference).collect(),
        notes: exchange.notes.iter().map(super::note).collect(),
        omitted: outcome.trace.omitted,
    }
}

/// What each filter of a chain did, out of the trace.
pub(super) fn filters(
    proxy: &ReplayedProxy,
    usage: &[(FilterNumber, Usage)],
    entries: &[Entry],
) -> Vec<FilterStep> {
    let mut steps: Vec<(FilterNumber, FilterStep)> = usage
        .iter()
        .map(|(plugin, usage)| {
            let name =
                proxy.outcome.filters.get(plugin.0).map(|filter| filter.name.clone()).unwrap_or_default();
            (*plugin, FilterStep { name, cost: Cost::from(usage), ..FilterStep::default() })
        })
        .collect();
    for entry in entries {
        if let Some((_, step)) = steps.iter_mut().find(|(plugin, _)| Some(*plugin) == entry.filter) {
            note(step, &entry.what);
        }
    }
    // A reply stops the stream by itself: that is no pause.
    let settle = |(_, step): (FilterNumber, FilterStep)| FilterStep {
        paused: step.paused.saturating_sub(usize::from(step.answered.is_some())),
        ..step
    };
    steps.into_iter().map(settle).collect()
}

fn note(step: &mut FilterStep, what: &What) {
    match what {
        What::Called { action, .. } => {
            step.paused += usize::from(action.is_some_and(|action| action != Action::Continue))
        }
        What::Header { map, edit } => step.changed.push(header_change(*map, edit)),
        What::Body { path, edit, bytes } => step.changed.push(body_change(*path, *edit, *bytes)),
        What::Replied { status, details, body } => {
            step.answered = Some(Answer { status: *status, details: Text::from(details), body_bytes: *body });
        }
        What::Resumed { .. } => step.resumed += 1,
        What::Closed => step
            .findings
            .push(Finding { kind: FindingKind::StreamReset, text: "reset the stream".to_owned() }),
        What::CalledOut { cluster, method, path, token } => step.callouts.push(Callout {
            token: *token,
            cluster: cluster.into(),
            method: method.into(),
            path: path.into(),
        }),
        What::Logged { level, text } => step.logged.push(LogLine { level: *level, text: text.into() }),
        What::Counted { metric, kind, change } => step.counted.push(Count {
            metric: metric.into(),
            kind: *kind,
            by: match change {
                trace::Change::By(by) => Some(*by),
                trace::Change::Recorded(_) => None,
            },
            recorded: match change {
                trace::Change::By(_) => None,
                trace::Change::Recorded(value) => Some(*value),
            },
        }),
        What::SetProperty { path, .. } => step.properties.push(path.into()),
        What::Random { bytes } => step.random_bytes += *bytes as u64,
        What::Fault { reason } => step.faults.push(reason.clone()),
        What::Finding { kind, text } => step.findings.push(Finding { kind: *kind, text: text.clone() }),
        What::CalloutAnswered { .. }
        | What::Routed { .. }
        | What::RouterReplied { .. }
        | What::ClientLeft
        | What::UpstreamBroke
        | What::Retries { .. }
        | What::Reconfigured { .. }
        | What::UpstreamAnswered { .. } => {}
    }
}

fn header_change(map: MapType, edit: &HeaderEdit) -> Change {
    let place = match map {
        MapType::RequestHeaders => "request_headers",
        MapType::RequestTrailers => "request_trailers",
        MapType::ResponseHeaders => "response_headers",
        MapType::ResponseTrailers => "response_trailers",
        MapType::GrpcInitialMetadata
        | MapType::GrpcTrailingMetadata
        | MapType::CalloutHeaders
        | MapType::CalloutTrailers => "callout",
    };
    let texts = |name: &Bytes, values: &[Bytes]| values.iter().map(|value| shown(name, value)).collect();
    let (kind, name, before, value) = match edit {
        HeaderEdit::Added { name, value } => (ChangeKind::Added, Some(name), Vec::new(), Some(value)),
        HeaderEdit::Replaced { name, before, value } if before.is_empty() => {
            (ChangeKind::Added, Some(name), Vec::new(), Some(value))
        }
        HeaderEdit::Replaced { name, before, value } => {
            (ChangeKind::Replaced, Some(name), texts(name, before), Some(value))
        }
        HeaderEdit::Removed { name, before } => (ChangeKind::Removed, Some(name), texts(name, before), None),
        HeaderEdit::Rewritten { .. } => (ChangeKind::Rewritten, None, Vec::new(), None),
    };
    Change {
        place,
        kind,
        name: name.map(Text::from),
        before,
        value: name.zip(value).map(|(name, value)| shown(name, value)),
        bytes: None,
    }
}

fn body_change(path: Path, edit: BodyEdit, bytes: usize) -> Change {
    let place = match path {
        Path::Decode => "request_body",
        Path::Encode => "response_body",
    };
    let kind = match edit {
        BodyEdit::Replaced => ChangeKind::Replaced,
        BodyEdit::Prepended => ChangeKind::Prepended,
        BodyEdit::Appended => ChangeKind::Appended,
    };
    Change { place, kind, name: None, before: Vec::new(), value: None, bytes: Some(bytes) }
}

fn of_proxy(outcome: &Outcome) -> Vec<Effect> {
    let own = outcome.trace.entries.iter().filter(|entry| entry.filter.is_none());
    let told = own.filter_map(|entry| {
        let said = match &entry.what {
            What::Routed { route, cluster } => format!("routed to cluster {cluster:?} by route {route:?}"),
            What::RouterReplied { status, details } => format!("answered {status} ({details})"),
            What::ClientLeft => "the client left, as recorded".to_owned(),
            What::Retries { after } => format!("tries again in {} ms", after.as_millis()),
            What::UpstreamBroke => "the upstream broke off".to_owned(),
            What::UpstreamAnswered { status } => format!("upstream answered {status}"),
            What::Finding { kind, text } => format!("{kind}: {text}"),
            _ => return None,
        };
        let finding = entry.what.finding();
        Some(Effect {
            at_us: entry.at.as_micros() as u64,
            filter: None,
            said,
            fault: false,
            finding,
            threads: Vec::new(),
        })
    });
    told.collect()
}

fn difference(difference: Difference) -> FieldDifference {
    let texts = |name: &Bytes, values: &[Bytes]| values.iter().map(|value| shown(name, value)).collect();
    let one = |value: &str| vec![Text::from(&Bytes::copy_from_slice(value.as_bytes()))];
    match difference {
        Difference::Status { recorded, replayed } => FieldDifference {
            what: "status",
            place: None,
            name: None,
            recorded: recorded.iter().map(Text::from).collect(),
            replayed: replayed.iter().map(Text::from).collect(),
        },
        Difference::Field { place, change } => FieldDifference {
            what: "header",
            place: Some(place),
            name: Some(Text::from(&change.name)),
            recorded: texts(&change.name, &change.recorded),
            replayed: texts(&change.name, &change.replayed),
        },
        Difference::Body { place, recorded, replayed } => FieldDifference {
            what: "body",
            place: Some(place),
            name: None,
            recorded: one(&format!("{recorded} bytes")),
            replayed: one(&format!("{replayed} bytes")),
        },
        Difference::NotForwarded => FieldDifference {
            what: "not_forwarded",
            place: None,
            name: None,
            recorded: one("forwarded"),
            replayed: one("answered by the proxy"),
        },
        Difference::End { replayed } => FieldDifference {
            what: "end",
            place: None,
            name: None,
            recorded: Vec::new(),
            replayed: one(&format!("{replayed:?}").to_lowercase()),
        },
    }
}
