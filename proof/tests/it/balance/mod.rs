//! Many requests through the real module, on several workers of which one has nearly everything, with failures of each kind, callers
//! who leave, and configurations that change meanwhile: budgets balance to the token, and linear memory stays as it is.
//!
//! In the host every request is known, so a plain count of them must come to the very balance that the filter tells; in the real Envoy
//! its own counters say the same.

mod envoy;
mod host;
mod ledger;

use serde_json::{Value, json};

pub(crate) use envoy::resident_kib;

/// `WAYSIDE_PROOF_REQUESTS=1000000` has a million of them.
fn requests(otherwise: u32) -> u32 {
    let asked = std::env::var("WAYSIDE_PROOF_REQUESTS").ok().and_then(|text| text.parse().ok());
    asked.unwrap_or(otherwise)
}

/// Of the window, which has ten slots.
const SLOT_MILLIS: u64 = 2_000;
const SLOTS: u64 = 10;
/// Retries for so many successes: one for five.
const SUCCESSES_A_RETRY: u64 = 5;

/// What is rolled out, one after the other, again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rollout {
    /// The budget that is counted: a fifth, and no floor.
    Counted,
    /// The same budget in another configuration: what was counted goes on.
    CountedOtherwise,
    /// Another budget: what was counted rests meanwhile, and other requests count.
    Other,
}

impl Rollout {
    const TURNS: [Rollout; 3] = [Rollout::Counted, Rollout::CountedOtherwise, Rollout::Other];

    fn turn(number: usize) -> Rollout {
        Rollout::TURNS[number % Rollout::TURNS.len()]
    }

    fn defaults(self) -> Value {
        let window = format!("{}ms", SLOTS * SLOT_MILLIS);
        let budget = match self {
            Rollout::Counted | Rollout::CountedOtherwise => {
                json!({ "retry_ratio": 0.2, "min_retries_per_second": 0, "window": window, "slots": SLOTS })
            }
            Rollout::Other => {
                json!({ "retry_ratio": 0.1, "min_retries_per_second": 3, "window": "5s", "slots": 5 })
            }
        };
        json!({
            "budget": budget,
            "per_request": { "max_retries": 3 },
            "exhausted_header": self == Rollout::CountedOtherwise,
        })
    }

    fn is_counted(self) -> bool {
        self != Rollout::Other
    }
}
