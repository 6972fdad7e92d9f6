//! What operators see of the law: `recorded = exported + dropped + queued`, for each signal.

use wayside_otlp::Signal;
use wayside_otlp::queue::{DropReason, Ledger};
use wayside_sdk::{CounterFamily, GaugeFamily, Init, SeriesLimit};

#[derive(Debug)]
pub(super) struct Counters {
    recorded: CounterFamily<1>,
    exported: CounterFamily<1>,
    dropped: CounterFamily<2>,
    queued: GaugeFamily<1>,
}

impl Counters {
    /// Of three signals: three each, and six reasons.
    pub(super) const SERIES: usize = 27;

    pub(super) fn new(init: &mut Init, prefix: &str, limit: &SeriesLimit) -> Counters {
        let name = |base: &str| format!("{prefix}_otlp_{base}");
        Counters {
            recorded: init.counter_family(&name("recorded_total"), ["signal"], limit),
            exported: init.counter_family(&name("exported_total"), ["signal"], limit),
            dropped: init.counter_family(&name("dropped_total"), ["signal", "reason"], limit),
            queued: init.gauge_family(&name("queued"), ["signal"], limit),
        }
    }

    /// Tells what was counted since `before`: all terms together, so that they balance whenever somebody looks.
    pub(super) fn tell(&self, signal: Signal, now: &Ledger, before: &Ledger) {
        let signal = signal.name().as_bytes();
        let since = now.since(before);
        let queued = signed(now.queued()).saturating_sub(signed(before.queued()));
        if queued != 0
            && let Some(gauge) = self.queued.get([signal])
        {
            gauge.add(queued);
        }
        self.exported.add([signal], small(since.exported));
        for reason in DropReason::ALL {
            self.dropped.add([signal, reason.label().as_bytes()], small(since.dropped_for(reason)));
        }
        self.recorded.add([signal], small(since.recorded));
    }
}

/// A queue has fewer items.
fn signed(items: u64) -> i32 {
    i32::try_from(items).unwrap_or(i32::MAX)
}

fn small(items: u64) -> u32 {
    u32::try_from(items).unwrap_or(u32::MAX)
}
