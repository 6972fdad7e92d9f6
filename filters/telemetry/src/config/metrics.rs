//! What is measured, and under which names.

use serde::Deserialize;
use wayside_sdk::Checks;
use wayside_sdk::config::Quoted;

/// Every label a series of the duration histogram may have, in the order in which they stand in its name.
pub const LABELS: [&str; 7] = [
    "http_request_method",
    "http_response_status_code",
    "http_route",
    "error_type",
    "network_protocol_version",
    "url_scheme",
    "rpc_grpc_status_code",
];

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metrics {
    /// Before the names of the filter's own metrics, without the `_` that follows it
    pub prefix: String,
    pub profile: Profile,
    /// Series of all metrics together
    pub max_series: usize,
    pub also: Also,
}

/// Whose names metrics have, and which of its labels are filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Profile {
    /// OpenTelemetry's; of [`LABELS`] these
    Otel([bool; 7]),
    /// Istio's; of [`istio::LABELS`](crate::istio::LABELS) these
    Istio([bool; crate::istio::LABELS.len()]),
}

/// Histograms that cost a call each and are there only when asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Also {
    pub request_body_size: bool,
    pub response_body_size: bool,
    pub attempts: bool,
    pub time_to_first_byte: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawMetrics {
    prefix: String,
    profile: RawProfile,
    labels: Option<Vec<String>>,
    max_series: u64,
    #[serde(rename = "histogram")]
    _histogram: RawHistogram,
    also: Vec<RawAlso>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "lowercase")]
enum RawProfile {
    #[default]
    Otel,
    Istio,
}

/// Who holds the buckets: Envoy.
#[derive(Deserialize, Default)]
#[serde(rename_all = "lowercase")]
enum RawHistogram {
    #[default]
    Native,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum RawAlso {
    RequestBodySize,
    ResponseBodySize,
    Attempts,
    TimeToFirstByte,
}

impl Default for RawMetrics {
    fn default() -> Self {
        Self {
            prefix: "l7".to_owned(),
            profile: RawProfile::Otel,
            labels: None,
            max_series: 1000,
            _histogram: RawHistogram::Native,
            also: Vec::new(),
        }
    }
}

pub(super) fn check(raw: &RawMetrics, at: &mut Checks<'_>) -> Option<Metrics> {
    let letters = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if !(1..=32).contains(&raw.prefix.len()) || !raw.prefix.bytes().all(letters) {
        at.at("prefix").refuse("1 to 32 of a-z, 0-9 and _", Quoted(&raw.prefix));
    }
    let max_series = usize::try_from(raw.max_series).unwrap_or(usize::MAX);
    if !(1..=100_000).contains(&max_series) {
        at.at("max_series").refuse("1 to 100000", raw.max_series);
    }
    let mut also = Also::default();
    for (index, wanted) in raw.also.iter().enumerate() {
        if raw.also.iter().take(index).any(|other| other == wanted) {
            at.at("also").at(index).refuse("each once", "one that stands there twice");
        }
        match wanted {
            RawAlso::RequestBodySize => also.request_body_size = true,
            RawAlso::ResponseBodySize => also.response_body_size = true,
            RawAlso::Attempts => also.attempts = true,
            RawAlso::TimeToFirstByte => also.time_to_first_byte = true,
        }
    }
    let mut labels = at.at("labels");
    let profile = match raw.profile {
        RawProfile::Otel => Profile::Otel(chosen(&LABELS, raw.labels.as_deref(), &mut labels)),
        RawProfile::Istio => {
            Profile::Istio(chosen(&crate::istio::LABELS, raw.labels.as_deref(), &mut labels))
        }
    };
    Some(Metrics { prefix: raw.prefix.clone(), profile, max_series, also })
}

/// All of them where nothing is said.
fn chosen<const N: usize>(all: &[&str; N], labels: Option<&[String]>, at: &mut Checks<'_>) -> [bool; N] {
    let Some(labels) = labels else { return [true; N] };
    for (index, label) in labels.iter().enumerate() {
        let again = labels.iter().take(index).any(|other| other == label);
        if again || !all.contains(&label.as_str()) {
            let expected = format!("one of {}, each once", all.join(", "));
            at.at(index).refuse(expected, Quoted(label));
        }
    }
    all.map(|label| labels.iter().any(|chosen| chosen == label))
}
