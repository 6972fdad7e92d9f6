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
    let good = [check_place(&raw, at), check_amounts(&raw, at)];
    let signals = check_signals(&raw.signals, logs_are_sent, &mut at.at("signals"));
    let headers_env = check_headers(raw.headers_env.as_ref(), &mut at.at("headers_env"));
    let attributes: Vec<Attribute<'_>> =
        resource.iter().map(|(name, value)| Attribute::new(name, Value::Text(value.as_bytes()))).collect();
    let encoding = raw.encoding.encoding();
    let (signals, headers_env) = (signals?, headers_env?);
    (good == [true; 2]).then(|| Collector {
        cluster: match raw.authority {
            Some(authority) => raw.cluster.with_authority(authority),
            None => raw.cluster,
        },
        path_prefix: raw.path_prefix,
        signals,
        terms: Terms {
            max_items: size(raw.max_queue),
            max_bytes: size(raw.max_bytes.0),
            batch_items: size(raw.batch),
            batch_bytes: size(raw.batch_bytes.0),
            interval: raw.interval.0,
            timeout: raw.timeout.0,
            max_attempts: u8::try_from(raw.max_attempts).unwrap_or(u8::MAX),
        },
        origin: Origin::new(encoding, &attributes, "wayside.telemetry", env!("CARGO_PKG_VERSION")),
        headers_env,
    })
}

fn check_place(raw: &RawExport, at: &mut Checks<'_>) -> bool {
    let visible = |text: &str, least| {
        (least..=255).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
    };
    let is_host = |text: &String| visible(text, 1) && !text.contains(['/', '?', '#', '@', '\\']);
    let prefix = raw.path_prefix.as_str();
    let is_path = visible(prefix, 2) && prefix.starts_with('/') && !prefix.ends_with('/');
    let mut good = true;
    for (field, is_good, expected) in [
        ("cluster", visible(raw.cluster.name(), 1), "the name of a cluster"),
        ("authority", raw.authority.as_ref().is_none_or(is_host), "a host, with or without a port"),
        (
            "path_prefix",
            prefix.is_empty() || is_path && !prefix.contains(['?', '#']),
            "nothing, or a path that begins with `/` and does not end with it",
        ),
    ] {
        if !is_good {
            at.at(field).refuse(expected, "something else");
            good = false;
        }
    }
    good
}

fn check_amounts(raw: &RawExport, at: &mut Checks<'_>) -> bool {
    let mut good = true;
    let mut refuse = |field: &str, expected: &str, found: &dyn std::fmt::Display| {
        at.at(field).refuse(expected, found);
        good = false;
    };
    for (field, DurationText(time), least, most, expected) in [
        ("interval", raw.interval, 100, 600_000, "100ms to 10m"),
        ("timeout", raw.timeout, 100, 60_000, "100ms to 1m"),
    ] {
        if !(least..=most).contains(&time.as_millis()) {
            refuse(field, expected, &format_args!("{}ms", time.as_millis()));
        }
    }
    for (field, number, least, most, expected) in [
        ("batch", raw.batch, 1, 65_536, "1 to 65536"),
        ("max_queue", raw.max_queue, raw.batch, 1_048_576, "at least a batch, and no more than 1048576"),
        ("batch_bytes", raw.batch_bytes.0, 4096, 4 << 20, "4Ki to 4Mi"),
        (
            "max_bytes",
            raw.max_bytes.0,
            raw.batch_bytes.0,
            64 << 20,
            "at least a batch, and no more than 64Mi",
        ),
        ("max_attempts", raw.max_attempts, 1, 20, "1 to 20"),
    ] {
        if !(least..=most).contains(&number) {
            refuse(field, expected, &number);
        }
    }
    good
}

fn check_signals(raw: &[RawSignal], logs_are_sent: bool, at: &mut Checks<'_>) -> Option<Vec<Signal>> {
    let signals: Vec<Signal> = raw.iter().map(|signal| signal.signal()).collect();
    let mut good = true;
    for (index, signal) in signals.iter().enumerate() {
        if signals.iter().take(index).any(|other| other == signal) {
            at.at(index).refuse("each signal once", signal.name());
            good = false;
        }
    }
    if signals.contains(&Signal::Logs) != logs_are_sent {
        at.refuse("`logs` where the access log's sink is `otlp`, and only there", "it otherwise");
        good = false;
    }
    good.then_some(signals)
}

fn check_headers(raw: Option<&Json>, at: &mut Checks<'_>) -> Option<Vec<(OwnedName, String)>> {
    let given = texts(raw, MOST_HEADERS, at)?;
    let mut headers = Vec::with_capacity(given.len());
    let mut good = true;
    for (name, variable) in given {
        match OwnedName::parse(&name).filter(|known| known.as_str() == name && !is_own(&name)) {
            Some(name) => headers.push((name, variable)),
            None => {
                at.at(name).refuse(
                    "the name of a header, in lower case, that requests do not have of themselves",
                    "another",
                );
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
