//! Which deadline a request has, and whether it can still be met. No clock, no headers, no host.

use crate::forms;
use std::time::Duration;
use wayside_sdk::Monotonic;

/// Where an allowance came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// The operator's `timeout`.
    Rule,
    /// `grpc-timeout` of a gRPC request.
    Grpc,
    /// `x-envoy-expected-rq-timeout-ms`: what the Envoy before this one has left.
    Expected,
    /// `x-envoy-upstream-rq-timeout-ms`: what the caller asks Envoy to allow.
    Upstream,
}

impl Source {
    /// The value of the label `source`.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Source::Rule => "rule",
            Source::Grpc => "grpc",
            Source::Expected => "expected",
            Source::Upstream => "upstream",
        }
    }

    fn parse(self, value: &[u8]) -> Option<Duration> {
        match self {
            Source::Rule => None,
            Source::Grpc => forms::grpc_timeout(value),
            Source::Expected | Source::Upstream => forms::millis(value),
        }
    }
}

/// Whose headers count. All of them can only shorten what the rule allows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientSources {
    /// Only those of trusted peers.
    Trusted,
    /// Anyone's `grpc-timeout`, and all of trusted peers.
    #[default]
    CapOnly,
    /// Nobody's.
    Ignore,
}

impl ClientSources {
    /// Whether a value of this source counts. Envoy's own headers steer the router and are never a stranger's to set.
    #[must_use]
    pub fn accept(self, source: Source, trusted: bool) -> bool {
        match self {
            ClientSources::Ignore => false,
            ClientSources::Trusted => trusted,
            ClientSources::CapOnly => trusted || source == Source::Grpc,
        }
    }
}

/// What the operator allows; cannot hold a `hop_margin` or `min_budget` that eats the whole `timeout`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub timeout: Duration,
    /// Taken off every allowance for the way to here and on.
    pub hop_margin: Duration,
    /// Less than this is refused at once.
    pub min_budget: Duration,
    pub client_sources: ClientSources,
}

/// Something to be counted about a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// It cannot be read; it is not passed on.
    Bad(Source),
    /// Its sender may not set it; it is not passed on.
    Untrusted(Source),
    /// It asked for more than the rule allows.
    Clamped(Source),
}

/// The deadline of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assessment {
    pub deadline: Monotonic,
    /// From `now` to the deadline.
    pub left: Duration,
    /// The allowance that decided; the rule's when several agree.
    pub tightest: Source,
    pub findings: Vec<Finding>,
}

/// What becomes of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Pass,
    /// Nothing was left when it came.
    Expired,
    /// Something was left, but less than `min_budget`.
    TooLittle,
}

/// The earliest of all accepted allowances, each counted from `now`, the arrival of the request.
///
/// `values` holds every value of every header that is a source here; the smallest of a repeated header wins. Envoy joins
/// repeated ones with a comma, so a comma parts values here too.
#[must_use]
pub fn assess(limits: &Limits, values: &[(Source, &[u8])], trusted: bool, now: Monotonic) -> Assessment {
    let mut findings = Vec::new();
    let (mut least, mut tightest) = (limits.timeout, Source::Rule);
    for (source, value) in values {
        if !limits.client_sources.accept(*source, trusted) {
            findings.push(Finding::Untrusted(*source));
            continue;
        }
        for value in value.split(|byte| *byte == b',') {
            match source.parse(value) {
                None => findings.push(Finding::Bad(*source)),
                Some(allowance) if allowance > limits.timeout => findings.push(Finding::Clamped(*source)),
                Some(allowance) if allowance < least => (least, tightest) = (allowance, *source),
                Some(_) => {}
            }
        }
    }
    let left = least.saturating_sub(limits.hop_margin);
    Assessment { deadline: now.plus(left), left, tightest, findings }
}

impl Assessment {
    #[must_use]
    pub fn verdict(&self, limits: &Limits) -> Verdict {
        if self.left.is_zero() {
            Verdict::Expired
        } else if self.left < limits.min_budget {
            Verdict::TooLittle
        } else {
            Verdict::Pass
        }
    }

    /// The first header that could not be read.
    #[must_use]
    pub fn bad_header(&self) -> Option<Source> {
        self.findings.iter().find_map(|finding| match finding {
            Finding::Bad(source) => Some(*source),
            Finding::Untrusted(_) | Finding::Clamped(_) => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Monotonic = Monotonic::at(Duration::from_secs(1000));

    fn limits(client_sources: ClientSources) -> Limits {
        Limits {
            timeout: Duration::from_secs(1),
            hop_margin: Duration::from_millis(1),
            min_budget: Duration::from_millis(5),
            client_sources,
        }
    }

    fn left(values: &[(Source, &[u8])], trusted: bool) -> (u128, Vec<Finding>) {
        let assessment = assess(&limits(ClientSources::CapOnly), values, trusted, NOW);
        (assessment.left.as_millis(), assessment.findings)
    }

    #[test]
    fn the_earliest_accepted_allowance_wins_and_the_hop_costs_a_margin() {
        use Finding::{Bad, Clamped, Untrusted};
        use Source::{Expected, Grpc, Upstream};
        assert_eq!(left(&[], false), (999, vec![]));
        assert_eq!(left(&[(Grpc, b"200m")], false), (199, vec![]));
        assert_eq!(left(&[(Grpc, b"5S")], false), (999, vec![Clamped(Grpc)]));
        assert_eq!(left(&[(Grpc, b"300m"), (Grpc, b"200m"), (Grpc, b"400m")], false), (199, vec![]));
        assert_eq!(left(&[(Expected, b"100"), (Grpc, b"200m")], true), (99, vec![]));
        assert_eq!(left(&[(Expected, b"100"), (Grpc, b"200m")], false), (199, vec![Untrusted(Expected)]));
        assert_eq!(left(&[(Grpc, b"300m,200m,5S")], false), (199, vec![Clamped(Grpc)]));
        assert_eq!(left(&[(Expected, b"90, 80")], true), (89, vec![Bad(Expected)]));
        assert_eq!(left(&[(Upstream, b"50"), (Expected, b"100")], true), (49, vec![]));
        assert_eq!(
            left(&[(Upstream, b"+5"), (Expected, b"x")], true),
            (999, vec![Bad(Upstream), Bad(Expected)])
        );
    }

    #[test]
    fn whose_headers_count_is_the_operators_choice() {
        for (sources, source, trusted, accepted) in [
            (ClientSources::Ignore, Source::Grpc, true, false),
            (ClientSources::Trusted, Source::Grpc, false, false),
            (ClientSources::Trusted, Source::Expected, true, true),
            (ClientSources::CapOnly, Source::Grpc, false, true),
            (ClientSources::CapOnly, Source::Expected, false, false),
            (ClientSources::CapOnly, Source::Upstream, true, true),
        ] {
            assert_eq!(sources.accept(source, trusted), accepted, "{sources:?} {source:?} {trusted}");
        }
    }

    #[test]
    fn zero_is_expired_and_not_without_limit() {
        let limits = limits(ClientSources::CapOnly);
        for (value, verdict) in [
            ("0", Verdict::Expired),
            ("1", Verdict::Expired),
            ("2", Verdict::TooLittle),
            ("5", Verdict::TooLittle),
            ("6", Verdict::Pass),
            ("18446744073709551615", Verdict::Pass),
        ] {
            let assessment = assess(&limits, &[(Source::Expected, value.as_bytes())], true, NOW);
            assert_eq!(assessment.verdict(&limits), verdict, "{value}");
        }
    }

    fn any_value() -> impl Strategy<Value = (Source, Vec<u8>)> {
        prop_oneof![
            (0..3_000_u32, prop::sample::select(b"HMSmun".to_vec()))
                .prop_map(|(n, unit)| { (Source::Grpc, [n.to_string().as_bytes(), &[unit]].concat()) }),
            (0..3_000_u64).prop_map(|n| (Source::Expected, n.to_string().into_bytes())),
            (0..3_000_u64).prop_map(|n| (Source::Upstream, n.to_string().into_bytes())),
            prop::collection::vec(any::<u8>(), 0..10).prop_map(|bytes| (Source::Grpc, bytes)),
        ]
    }

    proptest! {
        #[test]
        fn the_deadline_is_never_later_than_any_accepted_source_and_is_one_of_them(
            values in prop::collection::vec(any_value(), 0..6),
            trusted: bool,
            client_sources in prop::sample::select(vec![
                ClientSources::Trusted, ClientSources::CapOnly, ClientSources::Ignore,
            ]),
        ) {
            let limits = limits(client_sources);
            let borrowed: Vec<_> = values.iter().map(|(source, value)| (*source, value.as_slice())).collect();
            let got = assess(&limits, &borrowed, trusted, NOW);
            let mut allowances = vec![limits.timeout];
            allowances.extend(borrowed.iter().filter(|(s, _)| client_sources.accept(*s, trusted))
                .flat_map(|(s, v)| v.split(|byte| *byte == b',').map(move |v| (s, v)))
                .filter_map(|(s, v)| if *s == Source::Grpc { forms::grpc_timeout(v) } else { forms::millis(v) }));
            for allowance in &allowances {
                prop_assert!(got.deadline <= NOW.plus(*allowance));
            }
            prop_assert!(allowances.iter().any(|a| got.left == a.saturating_sub(limits.hop_margin)));
            prop_assert_eq!(got.deadline, NOW.plus(got.left));
        }
    }
}
