//! What a preset decides, and which fields it leaves to the operator.

use super::DepositOn;
use super::raw::{Preset, RawBudget, RawConfig};
use crate::budget::FloorStyle;
use wayside_sdk::Checks;
use wayside_sdk::units::Ratio;

/// The numbers of a window where the operator gives none.
#[derive(Clone, Copy, Debug)]
pub(super) struct Numbers {
    pub(super) ratio: Ratio,
    pub(super) rate: Ratio,
    pub(super) deposit_on: DepositOn,
    pub(super) floor_style: FloorStyle,
}

impl Numbers {
    pub(super) fn of(preset: Option<Preset>) -> Numbers {
        let (ratio, rate, deposit_on, floor_style) = match preset {
            // Finagle's RetryBudget, and so tower's and Linkerd's; GEP-3388 asks for the same.
            Some(Preset::Finagle | Preset::GatewayApi) => {
                (2_000, 100_000, DepositOn::Request, FloorStyle::Window)
            }
            // "Handling Overload": retries are at most a tenth of a client's requests.
            Some(Preset::Sre) => (1_000, 0, DepositOn::Success, FloorStyle::PerSecond),
            Some(Preset::Grpc | Preset::Aws) | None => {
                (2_000, 10_000, DepositOn::Success, FloorStyle::PerSecond)
            }
        };
        let (ratio, rate) = (Ratio::from_ten_thousandths(ratio), Ratio::from_ten_thousandths(rate));
        Numbers { ratio, rate, deposit_on, floor_style }
    }
}

/// Of `budget`, in the order of [`given`].
const FIELDS: [&str; 11] = [
    "window",
    "slots",
    "deposit_on",
    "retry_ratio",
    "min_retries_per_second",
    "burst",
    "floor_style",
    "max_tokens",
    "token_ratio",
    "capacity",
    "costs",
];

fn given(budget: &RawBudget) -> [bool; 11] {
    [
        budget.window.is_some(),
        budget.slots.is_some(),
        budget.deposit_on.is_some(),
        budget.retry_ratio.is_some(),
        budget.min_retries_per_second.is_some(),
        budget.burst.is_some(),
        budget.floor_style.is_some(),
        budget.max_tokens.is_some(),
        budget.token_ratio.is_some(),
        budget.capacity.is_some(),
        budget.costs.is_some(),
    ]
}

/// Whether the operator may say it beside this preset.
fn is_open(preset: Option<Preset>, field: &str) -> bool {
    let of_a_window = !matches!(field, "max_tokens" | "token_ratio" | "capacity" | "costs");
    match preset {
        None => of_a_window,
        Some(Preset::Finagle | Preset::GatewayApi) => matches!(field, "window" | "slots"),
        Some(Preset::Sre) => matches!(field, "window" | "slots" | "deposit_on"),
        Some(Preset::Grpc) => matches!(field, "max_tokens" | "token_ratio"),
        Some(Preset::Aws) => matches!(field, "capacity" | "costs"),
    }
}

/// Refuses every field that is given and not the operator's to give.
pub(super) fn check(raw: &RawConfig, at: &mut Checks<'_>) -> bool {
    let mut right = true;
    let mut refuse = |at: &mut Checks<'_>| {
        at.refuse("nothing beside this `preset`, or beside none", "a value");
        right = false;
    };
    for (field, given) in FIELDS.iter().zip(given(&raw.budget)) {
        if given && !is_open(raw.preset, field) {
            refuse(&mut at.at("budget").at(field));
        }
    }
    if raw.preset == Some(Preset::Sre) && raw.per_request.max_retries.is_some() {
        refuse(&mut at.at("per_request").at("max_retries"));
    }
    if raw.preset == Some(Preset::GatewayApi) && raw.exhausted_status.is_some() {
        refuse(&mut at.at("exhausted_status"));
    }
    right
}
