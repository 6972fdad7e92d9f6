//! When each exchange begins: as recorded where the times are known.

use std::time::Duration;

use super::Isolation;
use crate::message::Recording;

/// Wall time at which a replay begins when the recording has no times: 2026-01-01T00:00:00Z.
const EPOCH_WITHOUT_TIMES: Duration = Duration::from_secs(1_767_225_600);

/// Between exchanges without times.
const STEP_WITHOUT_TIMES: Duration = Duration::from_millis(1);

pub(super) struct Schedule {
    /// Wall time of the simulation's beginning.
    pub(super) epoch: Duration,
    /// One for each exchange, in their order.
    pub(super) arrivals: Vec<Duration>,
    /// One for each TCP connection.
    pub(super) connections: Vec<Duration>,
}

impl Schedule {
    /// What has no time follows the one before it by a millisecond, if there is one before it.
    pub(super) fn of(recording: &Recording, isolation: Isolation) -> Self {
        let exchanges = || recording.exchanges.iter().map(|exchange| exchange.timing.request_headers);
        let connections = || recording.connections.iter().map(|connection| connection.began);
        let epoch = exchanges().chain(connections()).flatten().min().unwrap_or(EPOCH_WITHOUT_TIMES);
        Schedule {
            epoch,
            arrivals: arrivals(exchanges(), epoch, isolation),
            connections: arrivals(connections(), epoch, isolation),
        }
    }
}

fn arrivals(
    times: impl Iterator<Item = Option<Duration>>,
    epoch: Duration,
    isolation: Isolation,
) -> Vec<Duration> {
    let mut last = Duration::ZERO;
    let arrivals = times.map(|time| {
        last = match time {
            Some(at) => at.saturating_sub(epoch),
            None if isolation == Isolation::EachExchange => Duration::ZERO,
            None => last.saturating_add(STEP_WITHOUT_TIMES),
        };
        last
    });
    arrivals.collect()
}
