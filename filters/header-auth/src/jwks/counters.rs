//! What operators see of key sets, by provider.

use wayside_sdk::{CounterFamily, GaugeFamily, Init, SeriesLimit};

#[derive(Debug)]
pub struct Counters {
    pub(super) fetch: CounterFamily<1>,
    pub(super) error: CounterFamily<2>,
    pub(super) unknown_kid: CounterFamily<1>,
    pub(super) keys: GaugeFamily<1>,
}

impl Counters {
    /// `provider` and `reason` are empty where the operator chose not to have them.
    pub fn new(
        init: &mut Init,
        prefix: &str,
        provider: &'static str,
        reason: &'static str,
        limit: &SeriesLimit,
    ) -> Counters {
        let name = |base: &str| format!("{prefix}_auth_jwks_{base}");
        Counters {
            fetch: init.counter_family(&name("fetch_total"), [provider], limit),
            error: init.counter_family(&name("error_total"), [provider, reason], limit),
            unknown_kid: init.counter_family(&name("unknown_kid_total"), [provider], limit),
            // One number of several providers would be nobody's.
            keys: init.gauge_family(&name("keys"), ["provider"], limit),
        }
    }
}
