//! What the filter counts.

use crate::deadline::{Assessment, Finding, Verdict};
use crate::forms::whole_millis;
use wayside_sdk::config::MetricsConfig;
use wayside_sdk::{Host, Init, RuleCounter, RuleHistogram};

#[derive(Debug)]
pub(crate) struct Metrics {
    expired_on_arrival: RuleCounter<1>,
    fail_fast: RuleCounter<1>,
    pub(crate) reject_capped: RuleCounter<0>,
    bad_header: RuleCounter<1>,
    untrusted_stripped: RuleCounter<1>,
    clamped: RuleCounter<1>,
    pub(crate) enforced: RuleCounter<1>,
    pub(crate) cancelled: RuleCounter<0>,
    pub(crate) bad_override: RuleCounter<0>,
    left: RuleHistogram<0>,
    pub(crate) overrun: RuleHistogram<0>,
    pub(crate) wasted: RuleHistogram<0>,
    pub(crate) adaptive: RuleCounter<1>,
    pub(crate) limit: RuleHistogram<0>,
    pub(crate) hedged: RuleCounter<0>,
}

impl Metrics {
    pub(crate) fn new(init: &mut Init, config: &MetricsConfig) -> Host<Metrics> {
        let metrics = init.rule_metrics(config)?;
        Ok(Metrics {
            expired_on_arrival: metrics.counter("timeout_expired_on_arrival_total", ["source"]),
            fail_fast: metrics.counter("timeout_fail_fast_total", ["source"]),
            reject_capped: metrics.counter("timeout_reject_capped_total", []),
            bad_header: metrics.counter("timeout_bad_header_total", ["source"]),
            untrusted_stripped: metrics.counter("timeout_untrusted_stripped_total", ["source"]),
            clamped: metrics.counter("timeout_clamped_total", ["source"]),
            enforced: metrics.counter("timeout_enforced_total", ["phase"]),
            cancelled: metrics.counter("timeout_cancelled_total", []),
            bad_override: metrics.counter("timeout_bad_override_total", []),
            left: metrics.histogram("timeout_left_ms", []),
            overrun: metrics.histogram("timeout_overrun_ms", []),
            wasted: metrics.histogram("timeout_wasted_ms", []),
            adaptive: metrics.counter("timeout_adaptive_total", ["event"]),
            limit: metrics.histogram("timeout_adaptive_limit_ms", []),
            hedged: metrics.counter("timeout_hedged_total", []),
        })
    }

    pub(crate) fn arrival(&self, rule: &str, assessment: &Assessment, verdict: Verdict) {
        for finding in &assessment.findings {
            let (counter, source) = match finding {
                Finding::Bad(source) => (&self.bad_header, source),
                Finding::Untrusted(source) => (&self.untrusted_stripped, source),
                Finding::Clamped(source) => (&self.clamped, source),
            };
            counter.inc(rule, [source.label().as_bytes()]);
        }
        let source = assessment.tightest.label().as_bytes();
        match verdict {
            Verdict::Pass => {}
            Verdict::Expired => self.expired_on_arrival.inc(rule, [source]),
            Verdict::TooLittle => self.fail_fast.inc(rule, [source]),
        }
        if let Some(left) = assessment.left {
            self.left.record(rule, [], whole_millis(left));
        }
    }
}
