//! When each exchange begins: as recorded where the times are known.

use std::time::Duration;

use crate::message::Exchange;

/// Wall time at which a replay begins when the recording has no times: 2026-01-01T00:00:00Z.
const EPOCH_WITHOUT_TIMES: Duration = Duration::from_secs(1_767_225_600);

/// Between exchanges without times.
const STEP_WITHOUT_TIMES: Duration = Duration::from_millis(1);

pub(super) struct Schedule {
    /// Wall time of the simulation's beginning.
    pub(super) epoch: Duration,
    /// One for each exchange, in their order.
    pub(super) arrivals: Vec<Duration>,
}

impl Schedule {
    /// An exchange without a time follows the one before it by a millisecond.
    pub(super) fn of(exchanges: &[Exchange]) -> Self {
        let epoch = exchanges.iter().filter_map(|exchange| exchange.timing.request_headers).min();
        let epoch = epoch.unwrap_or(EPOCH_WITHOUT_TIMES);
        let mut last = Duration::ZERO;
        let arrivals = exchanges.iter().map(|exchange| {
            last = match exchange.timing.request_headers {
                Some(at) => at.saturating_sub(epoch),
                None => last.saturating_add(STEP_WITHOUT_TIMES),
            };
            last
        });
        let arrivals = arrivals.collect();
        Schedule { epoch, arrivals }
    }
}
