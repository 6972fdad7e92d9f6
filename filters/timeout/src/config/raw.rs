//! The fields as an operator writes them, with their defaults.

use serde::Deserialize;
use std::time::Duration;
use wayside_sdk::policy::Trust;
use wayside_sdk::units::{DurationText, Ratio};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawConfig {
    pub(super) timeout: DurationText,
    pub(super) per_try: Option<DurationText>,
    pub(super) min_per_try: DurationText,
    pub(super) hop_margin: DurationText,
    pub(super) min_budget: DurationText,
    pub(super) max_reject_fraction: Ratio,
    pub(super) reject_window: DurationText,
    pub(super) client_sources: RawClientSources,
    pub(super) sources: Vec<RawSource>,
    pub(super) skew: DurationText,
    pub(super) trust: Trust,
    pub(super) on_bad_header: OnBadHeader,
    pub(super) phases: RawPhases,
    pub(super) tick: DurationText,
    pub(super) hard_response_deadline: bool,
    pub(super) streaming: RawStreaming,
    pub(super) propagate: Vec<RawTold>,
    pub(super) adaptive: Option<RawAdaptive>,
    pub(super) hedge: Option<RawHedge>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawAdaptive {
    pub(super) quantile: Ratio,
    pub(super) headroom: Ratio,
    pub(super) floor: DurationText,
    pub(super) min_samples: u32,
    pub(super) window: DurationText,
    pub(super) min_budget_fraction: Option<Ratio>,
}

impl Default for RawAdaptive {
    fn default() -> RawAdaptive {
        RawAdaptive {
            quantile: Ratio::from_ten_thousandths(9_900),
            headroom: Ratio::from_ten_thousandths(15_000),
            floor: millis(10),
            min_samples: 200,
            window: millis(60_000),
            min_budget_fraction: None,
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawHedge {
    pub(super) delay: Option<DurationText>,
    pub(super) quantile: Option<Ratio>,
    pub(super) budget: Option<RawBudget>,
    pub(super) ratio: Option<Ratio>,
    pub(super) grpc_idempotent_methods: Vec<String>,
}

/// Who has a say in it besides.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(super) enum RawBudget {
    RetryBudget,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum RawClientSources {
    Trusted,
    CapOnly,
    Ignore,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub(super) enum RawSource {
    Grpc,
    Connect,
    Envoy,
    RequestTimeout,
    XRequestDeadline,
}

/// What an upstream is told by.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub(super) enum RawTold {
    Grpc,
    Connect,
    RequestTimeout,
    XRequestDeadline,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(super) enum OnBadHeader {
    Ignore,
    Reject,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawPhases {
    pub(super) request_headers_to_body_end: Option<DurationText>,
    pub(super) request_idle: Option<DurationText>,
    pub(super) first_byte: Option<DurationText>,
    pub(super) response_idle: Option<DurationText>,
    pub(super) total: Option<DurationText>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawStreaming {
    pub(super) content_types: Vec<String>,
    pub(super) grpc_methods: Vec<String>,
}

impl Default for RawStreaming {
    fn default() -> RawStreaming {
        RawStreaming { content_types: vec!["text/event-stream".to_owned()], grpc_methods: Vec::new() }
    }
}

const fn millis(millis: u64) -> DurationText {
    DurationText(Duration::from_millis(millis))
}

impl Default for RawConfig {
    fn default() -> RawConfig {
        RawConfig {
            timeout: millis(15_000),
            per_try: None,
            min_per_try: millis(20),
            hop_margin: millis(1),
            min_budget: millis(5),
            max_reject_fraction: Ratio::from_ten_thousandths(Ratio::DENOMINATOR),
            reject_window: millis(10_000),
            client_sources: RawClientSources::CapOnly,
            sources: vec![RawSource::Grpc, RawSource::Connect, RawSource::Envoy],
            skew: millis(100),
            trust: Trust::Internal,
            on_bad_header: OnBadHeader::Ignore,
            phases: RawPhases::default(),
            tick: millis(10),
            hard_response_deadline: false,
            streaming: RawStreaming::default(),
            propagate: vec![RawTold::Grpc, RawTold::Connect],
            adaptive: None,
            hedge: None,
        }
    }
}
