//! Where to, what, and how much: the sections `export`, `resource` and `access_log`.

use std::time::Duration;

use serde::Deserialize;
use wayside_otlp::queue::Terms;
use wayside_otlp::{Attribute, Encoding, Origin, Signal, Value};
use wayside_sdk::config::Json;
use wayside_sdk::units::{ByteSize, DurationText};
use wayside_sdk::{Checks, Cluster, ConfigErrors, Environment, OwnedName};

use super::access_log::{AccessLog, Field, Sink, When};
use super::outbox::Headers;

/// All that is told elsewhere.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    pub collector: Option<Collector>,
    pub access_log: Option<AccessLog>,
}

/// A collector, and how it is told.
#[derive(Clone, Debug)]
pub struct Collector {
    pub cluster: Cluster,
    pub path_prefix: String,
    pub signals: Vec<Signal>,
    pub terms: Terms,
    pub origin: Origin,
    /// Names of headers, and of the environment variables that hold their values
    headers_env: Vec<(OwnedName, String)>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawExport {
    cluster: Cluster,
    #[serde(default)]
    authority: Option<String>,
    #[serde(default)]
    path_prefix: String,
    #[serde(default)]
    headers_env: Option<Json>,
    #[serde(default)]
    encoding: RawEncoding,
    #[serde(default = "five_seconds")]
    interval: DurationText,
    #[serde(default = "batch")]
    batch: u64,
    #[serde(default = "batch_bytes")]
    batch_bytes: ByteSize,
    #[serde(default = "max_queue")]
    max_queue: u64,
    #[serde(default = "max_bytes")]
    max_bytes: ByteSize,
    #[serde(default = "max_attempts")]
    max_attempts: u64,
    #[serde(default = "ten_seconds")]
    timeout: DurationText,
    #[serde(default = "traces")]
    signals: Vec<RawSignal>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawEncoding {
    #[default]
    Protobuf,
    Json,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawSignal {
    Traces,
    Logs,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawAccessLog {
    sink: RawSink,
    fields: Vec<String>,
    when: RawWhen,
    unsafe_log: bool,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawSink {
    #[default]
    None,
    Log,
    Otlp,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawWhen {
    #[default]
    All,
    Errors,
    Sampled,
}

/// What a line has where nothing else was chosen.
pub(crate) const FIELDS: [&str; 5] =
    ["http.request.method", "url.path", "http.response.status_code", "duration_ms", "trace_id"];

impl Default for RawAccessLog {
    fn default() -> RawAccessLog {
        let fields = FIELDS.map(str::to_owned).to_vec();
        RawAccessLog { sink: RawSink::None, fields, when: RawWhen::All, unsafe_log: false }
    }
}

fn five_seconds() -> DurationText {
    DurationText(Duration::from_secs(5))
}

fn ten_seconds() -> DurationText {
    DurationText(Duration::from_secs(10))
}

fn batch() -> u64 {
    512
}

fn batch_bytes() -> ByteSize {
    ByteSize(256 * 1024)
}

fn max_queue() -> u64 {
    2048
}

fn max_bytes() -> ByteSize {
    ByteSize(1024 * 1024)
}

fn max_attempts() -> u64 {
    5
}

fn traces() -> Vec<RawSignal> {
    vec![RawSignal::Traces]
}

/// `at` stands at the whole configuration.
pub fn check(
    export: Option<RawExport>,
    resource: Option<&Json>,
    access_log: Option<RawAccessLog>,
    at: &mut Checks<'_>,
) -> Option<Settings> {
    let access_log = check_access_log(access_log.unwrap_or_default(), &mut at.at("access_log"))?;
    let resource = texts(resource, MOST_ATTRIBUTES, &mut at.at("resource"))?;
    let is_sent = access_log.as_ref().is_some_and(|log| log.sink == Sink::Otlp);
    let collector = match export {
        Some(raw) => {
            if !resource.iter().any(|(name, value)| name == "service.name" && !value.is_empty()) {
                at.at("resource").at("service.name").refuse("a name, where anything is exported", "none");
                return None;
            }
            Some(check_export(raw, &resource, is_sent, &mut at.at("export"))?)
        }
        None if is_sent => {
            at.at("access_log").at("sink").refuse("`log`, or an `export` with the signal `logs`", "`otlp`");
            return None;
        }
        None => None,
    };
    Some(Settings { collector, access_log })
}

const MOST_ATTRIBUTES: usize = 64;
const MOST_HEADERS: usize = 16;

fn check_export(
    raw: RawExport,
    resource: &[(String, String)],
    logs_are_sent: bool,
    at: &mut Checks<'_>,
) -> Option<Collector> {
    let target = check_target(&raw, at);
    let terms = check_terms(&raw, at);
    let signals = check_signals(&raw.signals, logs_are_sent, at);
    let headers_env = check_headers(raw.headers_env.as_ref(), &mut at.at("headers_env"));
    let attributes: Vec<Attribute<'_>> =
        resource.iter().map(|(name, value)| Attribute::new(name, Value::Text(value.as_bytes()))).collect();
    let encoding = raw.encoding.encoding();
    target?;
    Some(Collector {
        cluster: match raw.authority {
            Some(authority) => raw.cluster.with_authority(authority),
            None => raw.cluster,
        },
        path_prefix: raw.path_prefix,
        signals: signals?,
        terms: terms?,
        origin: Origin::new(encoding, &attributes, "wayside.telemetry", env!("CARGO_PKG_VERSION")),
        headers_env: headers_env?,
    })
}

/// Where the collector is.
fn check_target(raw: &RawExport, at: &mut Checks<'_>) -> Option<()> {
    let visible =
        |text: &str| (1..=255).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    let is_authority = |text: &String| visible(text) && !text.contains(['/', '?', '#', '@', '\\']);
    let is_prefix = |text: &str| {
        visible(text)
            && text.len() > 1
            && text.starts_with('/')
            && !text.ends_with('/')
            && !text.contains(['?', '#'])
    };
    let checked = [
        ("cluster", "the name of a cluster", visible(raw.cluster.name())),
        ("authority", "a host, with or without a port", raw.authority.as_ref().is_none_or(is_authority)),
        (
            "path_prefix",
            "nothing, or a path that begins with `/` and does not end with it",
            raw.path_prefix.is_empty() || is_prefix(&raw.path_prefix),
        ),
    ];
    let wrong = checked.iter().filter(|(_, _, good)| !good);
    let count = wrong.map(|(field, expected, _)| at.at(*field).refuse(*expected, "something else")).count();
    (count == 0).then_some(())
}

/// How much waits, and when it goes.
fn check_terms(raw: &RawExport, at: &mut Checks<'_>) -> Option<Terms> {
    let mut good = true;
    for (field, DurationText(time), least, most, expected) in [
        ("interval", raw.interval, 100, 600_000, "100ms to 10m"),
        ("timeout", raw.timeout, 100, 60_000, "100ms to 1m"),
    ] {
        if !(least..=most).contains(&time.as_millis()) {
            at.at(field).refuse(expected, format_args!("{}ms", time.as_millis()));
            good = false;
        }
    }
    let (batch, batch_bytes) = (raw.batch, raw.batch_bytes.0);
    for (field, number, least, most, expected) in [
        ("batch", batch, 1, 65_536, "1 to 65536"),
        ("max_queue", raw.max_queue, batch, 1_048_576, "at least a batch, and no more than 1048576"),
        ("batch_bytes", batch_bytes, 4096, 4 << 20, "4Ki to 4Mi"),
        ("max_bytes", raw.max_bytes.0, batch_bytes, 64 << 20, "at least a batch, and no more than 64Mi"),
        ("max_attempts", raw.max_attempts, 1, 20, "1 to 20"),
    ] {
        if !(least..=most).contains(&number) {
            at.at(field).refuse(expected, number);
            good = false;
        }
    }
    good.then(|| Terms {
        max_items: size(raw.max_queue),
        max_bytes: size(raw.max_bytes.0),
        batch_items: size(batch),
        batch_bytes: size(batch_bytes),
        interval: raw.interval.0,
        timeout: raw.timeout.0,
        max_attempts: u8::try_from(raw.max_attempts).unwrap_or(u8::MAX),
    })
}

fn check_signals(raw: &[RawSignal], logs_are_sent: bool, at: &mut Checks<'_>) -> Option<Vec<Signal>> {
    let mut good = true;
    let signals: Vec<Signal> = raw.iter().map(|signal| signal.signal()).collect();
    for (index, signal) in signals.iter().enumerate() {
        if signals.iter().take(index).any(|other| other == signal) {
            at.at("signals").at(index).refuse("each signal once", signal.name());
            good = false;
        }
    }
    if signals.contains(&Signal::Logs) != logs_are_sent {
        let expected = "`logs` where the access log's sink is `otlp`, and only there";
        at.at("signals").refuse(expected, "it otherwise");
        good = false;
    }
    good.then_some(signals)
}

/// Headers of each export, whose values the VM's environment has.
fn check_headers(raw: Option<&Json>, at: &mut Checks<'_>) -> Option<Vec<(OwnedName, String)>> {
    let mut headers = Vec::new();
    let mut good = true;
    for (name, variable) in texts(raw, MOST_HEADERS, at)? {
        match OwnedName::parse(&name).filter(|known| known.as_str() == name && !is_own(&name)) {
            Some(name) => headers.push((name, variable)),
            None => {
                let expected = "the name of a header, in lower case, that requests do not have of themselves";
                at.at(name).refuse(expected, "another");
                good = false;
            }
        }
    }
    good.then_some(headers)
}

/// What says what a request is, or is Envoy's.
fn is_own(name: &str) -> bool {
    const OWN: [&str; 8] = [
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "host",
        "te",
        "transfer-encoding",
        "user-agent",
    ];
    name.starts_with("x-envoy-") || OWN.contains(&name)
}

fn size(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// An object whose values are texts.
fn texts(json: Option<&Json>, most: usize, at: &mut Checks<'_>) -> Option<Vec<(String, String)>> {
    let fields = match json {
        None => return Some(Vec::new()),
        Some(Json::Object(fields)) if fields.len() <= most => fields,
        Some(Json::Object(fields)) => {
            at.refuse(format_args!("{most} entries at most"), fields.len());
            return None;
        }
        Some(_) => {
            at.refuse("an object", "something else");
            return None;
        }
    };
    let mut texts = Vec::with_capacity(fields.len());
    for (name, value) in fields {
        match value {
            Json::Text(value) if (1..=256).contains(&name.len()) && value.len() <= 256 => {
                texts.push((name.clone(), value.clone()));
            }
            _ => at.at(name).refuse("a name and a text of 256 bytes at most", "something else"),
        }
    }
    (texts.len() == fields.len()).then_some(texts)
}

fn check_access_log(raw: RawAccessLog, at: &mut Checks<'_>) -> Option<Option<AccessLog>> {
    let mut fields: Vec<Field> = Vec::with_capacity(raw.fields.len());
    let mut good = true;
    for (index, text) in raw.fields.iter().enumerate() {
        let mut at = at.at("fields");
        let mut at = at.at(index);
        match Field::named(text) {
            Some(field) if field.may_be_secret() && !raw.unsafe_log => {
                at.refuse("a field that tells no secret, or `unsafe_log`", text.escape_default());
                good = false;
            }
            Some(field) if fields.contains(&field) => {
                at.refuse("each field once", text.escape_default());
                good = false;
            }
            Some(field) => fields.push(field),
            None => {
                at.refuse_value(
                    "an attribute's name, `http.request.header.NAME` or `http.response.header.NAME`",
                    text,
                );
                good = false;
            }
        }
    }
    if fields.is_empty() || fields.len() > MOST_ATTRIBUTES {
        if good {
            at.at("fields").refuse("1 to 64 fields", fields.len());
        }
        return None;
    }
    let sink = match raw.sink {
        RawSink::None => return good.then_some(None),
        RawSink::Log => Sink::Log,
        RawSink::Otlp => Sink::Otlp,
    };
    let when = match raw.when {
        RawWhen::All => When::All,
        RawWhen::Errors => When::Errors,
        RawWhen::Sampled => When::Sampled,
    };
    good.then_some(Some(AccessLog { sink, when, fields }))
}

impl RawSignal {
    fn signal(self) -> Signal {
        match self {
            RawSignal::Traces => Signal::Traces,
            RawSignal::Logs => Signal::Logs,
        }
    }
}

impl RawEncoding {
    fn encoding(self) -> Encoding {
        match self {
            RawEncoding::Protobuf => Encoding::Protobuf,
            RawEncoding::Json => Encoding::Json,
        }
    }
}

impl Collector {
    /// The operator's own headers, with their values from the environment.
    pub(super) fn headers(&self, environment: &Environment) -> Result<Headers, ConfigErrors> {
        let mut errors = ConfigErrors::default();
        let mut headers = Vec::with_capacity(self.headers_env.len());
        for (name, variable) in &self.headers_env {
            let is_value = |value: &[u8]| {
                !value.is_empty() && value.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~' | 0x80..))
            };
            match environment.get(variable).filter(|value| is_value(value.expose())) {
                Some(value) => headers.push((name.clone(), value.clone())),
                None => Checks::new("/export/headers_env", &mut errors)
                    .at(name)
                    .refuse("an environment variable of the VM that holds a header's value", "none"),
            }
        }
        errors.or(Some(headers.into()))
    }
}

impl Settings {
    /// Headers of requests and of responses that lines tell of, which are to be kept until a request is over.
    pub fn headers(&self) -> impl Iterator<Item = (crate::observation::Message, &str)> {
        let fields = self.access_log.iter().flat_map(|log| &log.fields);
        fields.filter_map(|field| match field {
            Field::Header { of, name, .. } => Some((*of, name.as_str())),
            Field::Known(_) => None,
        })
    }

    /// Whether anything is told of requests at all.
    pub fn is_wanted(&self) -> bool {
        self.collector.is_some() || self.access_log.is_some()
    }
}
