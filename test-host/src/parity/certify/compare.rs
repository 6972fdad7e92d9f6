//! One exchange on both sides → what differs that no rule lets pass.

use bytes::Bytes;

use super::{
    Difference,
    rules::{Place, Rules},
};
use crate::message::{HeaderMap, Message};

/// What one side made of an exchange.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// What reached the upstream: nothing where a filter answered.
    pub(super) upstream: Vec<Message>,
    pub(super) client: Option<Message>,
    /// By cluster, what filters' calls brought there, in order of time.
    pub(super) callouts: Vec<(String, Message)>,
    /// What guests logged, and their faults.
    pub(super) log: Vec<String>,
}

/// Compares, under the exchange's name.
pub(super) struct Comparison<'a> {
    rules: &'a Rules,
    exchange: &'a str,
    found: Vec<Difference>,
}

/// What differs.
pub(super) fn compare(rules: &Rules, exchange: &str, envoy: &Seen, host: &Seen) -> Vec<Difference> {
    let mut comparison = Comparison { rules, exchange, found: Vec::new() };
    comparison.upstream(envoy, host);
    match (&envoy.client, &host.client) {
        (Some(envoy), Some(host)) => comparison.messages(Place::ClientResponse, envoy, host),
        (None, None) => {}
        (envoy, host) => {
            let told = |side: &Option<Message>| {
                side.as_ref().map_or("none".to_owned(), |m| status(m).escape_ascii().to_string())
            };
            comparison.differs("response at the client", told(envoy), told(host));
        }
    }
    comparison.callouts(envoy, host);
    comparison.log(envoy, host);
    comparison.found
}

impl Comparison<'_> {
    fn differs(&mut self, field: &str, envoy: String, host: String) {
        let exchange = Some(self.exchange.to_owned());
        self.found.push(Difference { exchange, field: field.to_owned(), envoy, host });
    }

    fn upstream(&mut self, envoy: &Seen, host: &Seen) {
        if envoy.upstream.len() != host.upstream.len() {
            let (envoy, host) = (envoy.upstream.len().to_string(), host.upstream.len().to_string());
            return self.differs("requests at the upstream", envoy, host);
        }
        for (envoy, host) in envoy.upstream.iter().zip(&host.upstream) {
            self.messages(Place::UpstreamRequest, envoy, host);
        }
    }

    fn callouts(&mut self, envoy: &Seen, host: &Seen) {
        let clusters = |seen: &Seen| {
            let mut clusters: Vec<String> =
                seen.callouts.iter().map(|(cluster, _)| cluster.clone()).collect();
            clusters.sort();
            clusters
        };
        let (in_envoy, in_host) = (clusters(envoy), clusters(host));
        if in_envoy != in_host {
            return self.differs("callouts", in_envoy.join(", "), in_host.join(", "));
        }
        let by_cluster = |seen: &Seen| {
            let mut callouts = seen.callouts.clone();
            callouts.sort_by(|one, other| one.0.cmp(&other.0));
            callouts
        };
        for ((_, envoy), (_, host)) in by_cluster(envoy).iter().zip(&by_cluster(host)) {
            self.messages(Place::Callout, envoy, host);
        }
    }

    fn log(&mut self, envoy: &Seen, host: &Seen) {
        if envoy.log == host.log {
            return;
        }
        let kept = |lines: &[String]| {
            let kept = lines.iter().filter(|line| !self.rules.allows_line(self.exchange, line));
            kept.cloned().collect::<Vec<_>>()
        };
        let (envoy, host) = (kept(&envoy.log), kept(&host.log));
        if envoy != host {
            let list = |lines: Vec<String>| lines.iter().map(|line| format!("\n      {line}")).collect();
            self.differs("log of the guests", list(envoy), list(host));
        }
    }

    fn messages(&mut self, place: Place, envoy: &Message, host: &Message) {
        for name in [":status", ":method", ":authority", ":path"] {
            let value = |message: &Message| {
                message
                    .headers
                    .first(name.as_bytes())
                    .map(|v| v.escape_ascii().to_string())
                    .unwrap_or_default()
            };
            if value(envoy) != value(host) {
                self.differs(&format!("{place:?} {name}"), value(envoy), value(host));
            }
        }
        let (mut ours, mut theirs) = (fields(Some(&host.headers)), fields(Some(&envoy.headers)));
        self.rules.reconcile(place, self.exchange, &mut theirs, &mut ours);
        if ours != theirs {
            self.differs(&format!("{place:?} headers"), list(&theirs), list(&ours));
        }
        if envoy.whole_body() != host.whole_body() {
            let told = |message: &Message| {
                let body = message.whole_body();
                let shown = body.get(..body.len().min(200)).unwrap_or_default();
                format!("{} bytes: {}", body.len(), shown.escape_ascii())
            };
            self.differs(&format!("{place:?} body"), told(envoy), told(host));
        }
        let (ours, theirs) = (fields(host.trailers.as_ref()), fields(envoy.trailers.as_ref()));
        if ours != theirs {
            self.differs(&format!("{place:?} trailers"), list(&theirs), list(&ours));
        }
    }
}

fn status(message: &Message) -> &[u8] {
    message.headers.first(b":status").map(|status| &status[..]).unwrap_or_default()
}

/// All but pseudo headers, which are no fields in HTTP/1.1.
fn fields(headers: Option<&HeaderMap>) -> Vec<(Bytes, Bytes)> {
    let fields = headers.into_iter().flatten().filter(|header| !header.name.starts_with(b":"));
    fields.map(|header| (header.name.clone(), header.value.clone())).collect()
}

fn list(fields: &[(Bytes, Bytes)]) -> String {
    let lines = fields.iter().map(|(name, value)| {
        let value = value.get(..value.len().min(200)).unwrap_or_default();
        format!("\n      {}: {}", name.escape_ascii(), value.escape_ascii())
    });
    lines.collect()
}
