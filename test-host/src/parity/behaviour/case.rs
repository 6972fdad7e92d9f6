//! Behaviours as people write them: a chain, its traffic, and who answers it.

use std::{collections::BTreeMap, path::Path};

use serde::Deserialize;
use serde_json::Value;

use super::encrypted::{DownstreamTls, UpstreamTls};
use crate::{traffic::WrittenConnection, upstream::GrpcMove};

/// A file's behaviours.
#[derive(Clone, Debug)]
pub struct Topic {
    /// The file's name without `.yaml`.
    pub name: String,
    pub behaviours: Vec<Behaviour>,
}

/// One thing to be seen: a chain of filters, the requests sent through it, and what answers them.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Behaviour {
    /// A sentence; unique in its file.
    pub name: String,
    /// In the order of the chain.
    #[serde(default = "one_filter")]
    pub filters: Vec<Filter>,
    /// Access loggers, which hear of every request's end; without a name, `logger`.
    #[serde(default)]
    pub loggers: Vec<Filter>,
    /// Upstream filters of the cluster that requests go to, which then is one of its own; without a name, `upstream`.
    #[serde(default)]
    pub upstream_filters: Vec<Filter>,
    /// Upstream filters of the router; without a name, `routed`.
    #[serde(default)]
    pub upstream_filters_of_router: Vec<Filter>,
    /// Nothing listens where requests go to; it needs upstream filters of the cluster.
    #[serde(default)]
    pub upstream_refuses: bool,
    #[serde(default = "one_request")]
    pub requests: Vec<Request>,
    /// Filters are network filters, and this is the one connection through them, in the form of `traffic::load_connections`.
    pub connection: Option<WrittenConnection>,
    /// The client's connection is TLS.
    pub tls: Option<DownstreamTls>,
    /// The connection to the upstream is TLS.
    pub upstream_tls: Option<UpstreamTls>,
    /// Clusters that guests can call, by name.
    #[serde(default)]
    pub callouts: BTreeMap<String, Callout>,
    /// What Envoy's configuration has besides, or in the place of, what every behaviour has.
    #[serde(default)]
    pub envoy: Overrides,
    #[serde(default = "one")]
    pub workers: u32,
    /// Envoy dies or hangs of it, or it counts what others share: names stand as they are, metrics are compared in full.
    #[serde(default)]
    pub own_process: bool,
    /// In the end Envoy is asked to end, and what its filters say to that is seen too. It needs a process of its own.
    #[serde(default)]
    pub shuts_down: bool,
    /// Of Envoy's `wasm` logger.
    #[serde(default)]
    pub log_level: Level,
    /// Watched this long after the beginning, for what happens without a request. Without it: until all is answered.
    pub lasts_ms: Option<u64>,
    /// Why host and Envoy cannot agree. A behaviour with it must differ.
    pub host_differs: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Filter {
    /// What the `script` guest does: its configuration.
    pub script: Option<String>,
    /// Another guest, by name.
    pub guest: Option<String>,
    /// A module in text form.
    pub wat: Option<String>,
    pub name: Option<String>,
    pub root_id: String,
    pub vm_id: String,
    pub vm_configuration: Option<String>,
    /// In the place of a script.
    pub configuration: Option<String>,
    pub failure_policy: Option<String>,
    pub reload_interval: Option<String>,
    pub fail_open: bool,
    pub allow_on_headers_stop_iteration: bool,
    pub allowed_capabilities: Option<Vec<String>>,
    pub environment: BTreeMap<String, String>,
}

/// Name and value; a character is a byte.
pub type Field = (String, String);

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub authority: String,
    pub headers: Vec<Field>,
    /// Each is sent when Envoy has dealt with the one before.
    pub body: Vec<Body>,
    pub trailers: Option<Vec<Field>>,
    /// Since the behaviour's beginning. Without it, the request follows the end of the one before.
    pub at_ms: Option<u64>,
    /// The client goes away after so long without a whole answer.
    pub gives_up_after_ms: u64,
    /// The request's end never comes.
    pub stalls: bool,
    /// What the upstream answers.
    pub response: Response,
    /// In its place: what it answers to each attempt, the last to all that follow.
    pub responses: Vec<Response>,
}

impl Default for Request {
    fn default() -> Self {
        Request {
            method: "GET".to_owned(),
            path: "/".to_owned(),
            authority: "shop".to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
            trailers: None,
            at_ms: None,
            gives_up_after_ms: 1000,
            stalls: false,
            response: Response::default(),
            responses: Vec::new(),
        }
    }
}

impl Request {
    /// What the upstream answers to each attempt, the last to all that follow.
    pub(super) fn answers(&self) -> &[Response] {
        if self.responses.is_empty() { std::slice::from_ref(&self.response) } else { &self.responses }
    }
}

/// Text, or so many bytes.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Body {
    Bytes(usize),
    Text(String),
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<Field>,
    pub body: Vec<Body>,
    pub trailers: Option<Vec<Field>>,
    /// How long the upstream takes, from the request's end.
    pub after_ms: u64,
    /// The connection breaks where the message's end should be.
    pub breaks_off: bool,
    /// The connection breaks before the message begins.
    pub resets: bool,
    /// The upstream never answers.
    pub never: bool,
}

impl Default for Response {
    fn default() -> Self {
        Response {
            status: 200,
            headers: Vec::new(),
            body: Vec::new(),
            trailers: None,
            after_ms: 0,
            breaks_off: false,
            resets: false,
            never: false,
        }
    }
}

/// What a callout to a cluster meets.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Callout {
    /// The same answer each time.
    Answer(Response),
    /// One answer after the other; the last for all that follow.
    Answers(Vec<Response>),
    /// A gRPC service, in its moves; each call meets the same.
    Grpc(Vec<GrpcMove>),
    /// Nothing listens there.
    Refused,
    /// The cluster has no endpoint.
    Hostless,
    /// It takes the call and never answers.
    Never,
    /// It closes the connection once it has the call.
    BreaksOff,
}

/// Parts of Envoy's configuration, merged into what the runner makes: objects by field, all else replaced.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Overrides {
    pub listener: Value,
    pub connection_manager: Value,
    /// In the place of the one route to `upstream`.
    pub routes: Value,
    pub virtual_host: Value,
    /// Merged into the action of the one route.
    pub route: Value,
    pub router: Value,
    /// Merged into the cluster `upstream`; needs a process of its own.
    pub cluster: Value,
    /// Further clusters.
    pub clusters: Vec<Value>,
    /// Merged into the whole document; needs a process of its own.
    pub bootstrap: Value,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    Trace,
    Debug,
    #[default]
    Info,
    Warn,
    Error,
    Critical,
}

fn one() -> u32 {
    1
}

fn one_filter() -> Vec<Filter> {
    vec![Filter::default()]
}

fn one_request() -> Vec<Request> {
    vec![Request::default()]
}

impl Topic {
    /// Reads a file of behaviours.
    ///
    /// # Errors
    /// The file's path, line and column, with what was found and what was expected; a name twice.
    pub fn read(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("{}: cannot be read: {error}", path.display()))?;
        let mut behaviours: Vec<Behaviour> =
            serde_saphyr::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
        let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        for behaviour in behaviours.iter_mut().filter(|behaviour| behaviour.connection.is_some()) {
            behaviour.requests.clear();
        }
        for (at, behaviour) in behaviours.iter().enumerate() {
            let refused = |what: &str| format!("{}: {:?}: {what}", path.display(), behaviour.name);
            if behaviours.iter().take(at).any(|other| other.name == behaviour.name) {
                return Err(refused("name: stands there twice, expected a name of its own"));
            }
            behaviour.check().map_err(|what| refused(&what))?;
        }
        Ok(Topic { name, behaviours })
    }
}

impl Behaviour {
    fn check(&self) -> Result<(), String> {
        if self.name.trim().is_empty() || self.name.contains('\n') {
            return Err("name: expected one line of text".to_owned());
        }
        if self.filters.is_empty() {
            return Err("filters: found none, expected at least one".to_owned());
        }
        if self.upstream_refuses && self.upstream_filters.is_empty() {
            return Err(
                "upstream_refuses: found no upstream_filters, without which the cluster is shared".to_owned()
            );
        }
        for (number, filter) in self.guests().enumerate() {
            if filter.script.is_some() && filter.configuration.is_some() {
                return Err(format!(
                    "filters[{number}]: found script and configuration, expected one of them"
                ));
            }
            if filter.guest.is_some() && filter.wat.is_some() {
                return Err(format!("filters[{number}]: found guest and wat, expected one of them"));
            }
            if filter.allowed_capabilities.as_ref().is_some_and(Vec::is_empty) {
                return Err(format!(
                    "filters[{number}]: allowed_capabilities: found none, which restricts nothing"
                ));
            }
        }
        if self.connection.is_some() && (self.tls.is_some() || self.upstream_tls.is_some()) {
            return Err("found connection and TLS, expected one of them".to_owned());
        }
        if self.host_differs.as_ref().is_some_and(|why| why.trim().is_empty()) {
            return Err("host_differs: expected a reason".to_owned());
        }
        Ok(())
    }

    /// By kind, with the name of one that has none, in the order in which they start.
    pub(super) fn kinds(&self) -> [(&[Filter], &'static str); 4] {
        [
            (&self.upstream_filters, "upstream"),
            (&self.loggers, "logger"),
            (&self.filters, "script"),
            (&self.upstream_filters_of_router, "routed"),
        ]
    }

    /// In the order in which they start.
    pub(super) fn guests(&self) -> impl Iterator<Item = &Filter> {
        self.kinds().into_iter().flat_map(|(filters, _)| filters)
    }

    /// Whether it must have an Envoy to itself.
    pub(super) fn is_alone(&self) -> bool {
        self.own_process
            || self.shuts_down
            || self.workers != 1
            || self.upstream_tls.is_some()
            || !self.envoy.cluster.is_null()
            || !self.envoy.bootstrap.is_null()
    }
}

impl Level {
    pub(super) fn name(self) -> &'static str {
        match self {
            Level::Trace => "trace",
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warn => "warning",
            Level::Error => "error",
            Level::Critical => "critical",
        }
    }
}
