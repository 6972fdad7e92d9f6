//! The fields as an operator writes them. `None` is a field that was left out or is `null`: a preset may then decide it.

use super::{DepositOn, Enforcement, InboundRetry};
use crate::budget::FloorStyle;
use serde::Deserialize;
use wayside_sdk::policy::Trust;
use wayside_sdk::units::{DurationText, Ratio};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawConfig {
    pub(super) budget: RawBudget,
    pub(super) per_request: RawPerRequest,
    pub(super) enforcement: Enforcement,
    pub(super) inbound_retry: Option<InboundRetry>,
    pub(super) pushback: RawPushback,
    pub(super) exhausted_status: Option<u64>,
    pub(super) exhausted_header: bool,
    pub(super) preset: Option<Preset>,
    pub(super) trust: Trust,
}

/// Somebody else's way to bound retries, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Preset {
    Finagle,
    GatewayApi,
    Sre,
    Grpc,
    Aws,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawBudget {
    /// `cluster`, `route`, `virtual_host`, `global` or `header:<name>`.
    pub(super) scope: Option<String>,
    pub(super) retry_ratio: Option<Ratio>,
    pub(super) window: Option<DurationText>,
    pub(super) slots: Option<u64>,
    pub(super) deposit_on: Option<DepositOn>,
    pub(super) min_retries_per_second: Option<Ratio>,
    pub(super) burst: Option<u64>,
    pub(super) floor_style: Option<FloorStyle>,
    pub(super) max_tokens: Option<u64>,
    pub(super) token_ratio: Option<Ratio>,
    pub(super) capacity: Option<u64>,
    pub(super) costs: Option<RawCosts>,
}

/// What a retry costs of the AWS SDKs' quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(super) enum RawCosts {
    #[serde(rename = "classic")]
    Classic,
    #[serde(rename = "2026")]
    Of2026,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawPerRequest {
    pub(super) max_retries: Option<u64>,
    pub(super) retry_on: Vec<String>,
    pub(super) retriable_status_codes: Vec<u64>,
    pub(super) idempotent_only: bool,
    pub(super) grpc_idempotent_methods: Vec<String>,
    pub(super) per_try_timeout: Option<DurationText>,
    pub(super) min_time_for_retry: Option<DurationText>,
}

impl Default for RawPerRequest {
    fn default() -> RawPerRequest {
        RawPerRequest {
            max_retries: None,
            retry_on: Vec::new(),
            retriable_status_codes: Vec::new(),
            idempotent_only: true,
            grpc_idempotent_methods: Vec::new(),
            per_try_timeout: None,
            min_time_for_retry: None,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawPushback {
    pub(super) grpc: bool,
    pub(super) retry_after: bool,
    pub(super) max_hold: Option<DurationText>,
    pub(super) propagate: bool,
}

impl Default for RawPushback {
    fn default() -> RawPushback {
        RawPushback { grpc: true, retry_after: true, max_hold: None, propagate: true }
    }
}
