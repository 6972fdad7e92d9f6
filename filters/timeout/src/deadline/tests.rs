//! The deadline as the least of all accepted allowances; TO-3 (Finagle's `DeadlineFilterTest` and `DeadlineTest`, `combined`), TO-9.

use super::*;
use crate::forms;
use crate::source::{CONTROLS, Speaks};
use proptest::prelude::*;
use wayside_sdk::{Name, name};

const NOW: Monotonic = Monotonic::at(Duration::from_secs(1000));
/// 2026-01-01T00:00:00Z
const WALL_MILLIS: u64 = 1_767_225_600_000;
const CLOCKS: Clocks = Clocks { now: NOW, wall: Wall::at(Duration::from_millis(WALL_MILLIS)) };
const BOTH: Speaks = Speaks { grpc: true, connect: true };

fn all_sources() -> Sources {
    CONTROLS.iter().fold(Sources::default(), |sources, (source, _)| sources.with(*source))
}

fn limits(client_sources: ClientSources) -> Limits {
    Limits {
        timeout: Duration::from_secs(1),
        hop_margin: Duration::from_millis(1),
        min_budget: Duration::from_millis(5),
        client_sources,
        sources: all_sources(),
        skew: Duration::from_millis(100),
    }
}

fn carried<'a>(values: &[(Source, &'a [u8])], trusted: bool) -> Carried<'a> {
    let named = |source: Source| {
        CONTROLS.iter().find(|(of, _)| *of == source).map_or(name!("x"), |(_, name): &(Source, Name)| *name)
    };
    let values = values.iter().map(|(source, value)| (*source, named(*source), *value)).collect();
    Carried { values, speaks: BOTH, trusted }
}

fn assessed(limits: &Limits, values: &[(Source, &[u8])], trusted: bool) -> Assessment {
    assess(limits, Some(limits.timeout), &carried(values, trusted), CLOCKS)
}

fn left(values: &[(Source, &[u8])], trusted: bool) -> (u128, Vec<Finding>) {
    let assessment = assessed(&limits(ClientSources::CapOnly), values, trusted);
    (assessment.left.unwrap().as_millis(), assessment.findings)
}

#[test]
fn the_earliest_accepted_allowance_wins_and_the_hop_costs_a_margin() {
    use Finding::{Bad, Clamped, Untrusted};
    use Source::{Connect, Expected, Grpc, RequestTimeout, Upstream};
    assert_eq!(left(&[], false), (999, vec![]));
    assert_eq!(left(&[(Grpc, b"200m")], false), (199, vec![]));
    assert_eq!(left(&[(Grpc, b"5S")], false), (999, vec![Clamped(Grpc)]));
    assert_eq!(left(&[(Grpc, b"300m"), (Grpc, b"200m"), (Grpc, b"400m")], false), (199, vec![]));
    assert_eq!(left(&[(Expected, b"100"), (Grpc, b"200m")], true), (99, vec![]));
    assert_eq!(left(&[(Expected, b"100"), (Grpc, b"200m")], false), (199, vec![Untrusted(Expected)]));
    assert_eq!(left(&[(Grpc, b"300m,200m,5S")], false), (199, vec![Clamped(Grpc)]));
    assert_eq!(left(&[(Expected, b"90, 80")], true), (89, vec![Bad(Expected)]));
    assert_eq!(left(&[(Upstream, b"50"), (Expected, b"100")], true), (49, vec![]));
    assert_eq!(left(&[(Upstream, b"+5"), (Expected, b"x")], true), (999, vec![Bad(Upstream), Bad(Expected)]));
    assert_eq!(left(&[(Connect, b"70"), (RequestTimeout, b"1")], false), (69, vec![]));
    assert_eq!(left(&[(RequestTimeout, b"3600")], false), (999, vec![Clamped(RequestTimeout)]));
}

#[test]
fn whose_headers_count_is_the_operators_choice() {
    for (sources, source, trusted, accepted) in [
        (ClientSources::Ignore, Source::Grpc, true, false),
        (ClientSources::Trusted, Source::Grpc, false, false),
        (ClientSources::Trusted, Source::Expected, true, true),
        (ClientSources::CapOnly, Source::Grpc, false, true),
        (ClientSources::CapOnly, Source::Connect, false, true),
        (ClientSources::CapOnly, Source::RequestTimeout, false, true),
        (ClientSources::CapOnly, Source::RequestDeadline, false, false),
        (ClientSources::CapOnly, Source::Expected, false, false),
        (ClientSources::CapOnly, Source::Upstream, true, true),
    ] {
        assert_eq!(sources.accept(source, trusted), accepted, "{sources:?} {source:?} {trusted}");
    }
}

#[test]
fn a_source_counts_only_where_it_is_read_and_its_protocol_is_spoken() {
    let mut limits = limits(ClientSources::CapOnly);
    let values: [(Source, &[u8]); 2] = [(Source::Grpc, b"200m"), (Source::Connect, b"100")];
    for (speaks, trusted, expected) in [
        (Speaks { grpc: true, connect: false }, false, 199),
        (Speaks { grpc: false, connect: true }, false, 99),
        (Speaks::default(), true, 999),
    ] {
        let carried = Carried { speaks, ..carried(&values, trusted) };
        let assessment = assess(&limits, Some(limits.timeout), &carried, CLOCKS);
        assert_eq!(assessment.left, Some(Duration::from_millis(expected)), "{speaks:?}");
        let stripped = if trusted { 0 } else { 1 };
        assert_eq!(assessment.findings.len(), stripped, "an outsider's that nobody reads is counted");
    }
    limits.sources = Sources::default();
    assert_eq!(assessed(&limits, &values, true).findings, []);
    assert_eq!(assessed(&limits, &values, true).left, Some(Duration::from_millis(999)));
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
        let assessment = assessed(&limits, &[(Source::Expected, value.as_bytes())], true);
        assert_eq!(assessment.verdict(&limits), verdict, "{value}");
    }
}

/// Finagle's cases of none, expired and not expired; those of the share that may be refused are in `rejects`, and the one of an
/// expired request that is served all the same is not taken over: expired on arrival always fails.
#[test]
fn to_3_no_deadline_an_expired_and_one_that_has_time() {
    let limits = limits(ClientSources::CapOnly);
    let verdict = |values: &[(Source, &[u8])]| assessed(&limits, values, true).verdict(&limits);
    assert_eq!(verdict(&[]), Verdict::Pass);
    let (past, ahead) = ((WALL_MILLIS - 50).to_string(), (WALL_MILLIS + 800).to_string());
    assert_eq!(verdict(&[(Source::Expected, b"0")]), Verdict::Expired);
    assert_eq!(verdict(&[(Source::RequestDeadline, ahead.as_bytes())]), Verdict::Pass);
    let skewed = assessed(&limits, &[(Source::RequestDeadline, past.as_bytes())], true);
    assert_eq!(skewed.left, Some(Duration::from_millis(49)), "a clock that is off by less than the skew");
}

#[test]
fn to_9_an_absolute_deadline_within_and_beyond_the_skew() {
    const DAY: i64 = 86_400_000;
    for (offset, allowance) in [
        (0, Some(50)),
        (99, Some(50)),
        (100, Some(50)),
        (101, Some(101)),
        (900, Some(900)),
        (DAY, Some(86_400_000)),
        (DAY + 1, None),
        (365 * DAY, None),
        (-1, Some(50)),
        (-100, Some(50)),
        (-101, None),
        (-DAY, None),
        (-20_000 * DAY, None),
    ] {
        let value = (WALL_MILLIS.cast_signed() + offset).to_string();
        let got =
            assessed(&limits(ClientSources::CapOnly), &[(Source::RequestDeadline, value.as_bytes())], true);
        let expected = allowance.filter(|allowance| *allowance < 1000).unwrap_or(1000) - 1;
        assert_eq!(got.left, Some(Duration::from_millis(expected)), "{offset}");
        let is_bad = got.findings == [Finding::Bad(Source::RequestDeadline)];
        assert_eq!(is_bad, allowance.is_none(), "{offset}: {:?}", got.findings);
    }
    for malformed in ["2026-01-01", "soon", "", "-1", "99999999999999999999"] {
        let got = assessed(
            &limits(ClientSources::CapOnly),
            &[(Source::RequestDeadline, malformed.as_bytes())],
            true,
        );
        assert_eq!(got.findings, [Finding::Bad(Source::RequestDeadline)], "{malformed}");
    }
    let text: &[u8] = b"2026-01-01T01:00:00.250+01:00";
    let got = assessed(&limits(ClientSources::CapOnly), &[(Source::RequestDeadline, text)], true);
    assert_eq!(got.left, Some(Duration::from_millis(249)));
    let got = assessed(&limits(ClientSources::CapOnly), &[(Source::RequestDeadline, text)], false);
    assert_eq!(got.findings, [Finding::Untrusted(Source::RequestDeadline)]);
}

#[test]
fn to_12_without_a_ceiling_the_callers_alone_decide() {
    let limits = limits(ClientSources::CapOnly);
    let none = assess(&limits, None, &carried(&[], false), CLOCKS);
    assert_eq!((none.left, none.deadline(), none.verdict(&limits)), (None, None, Verdict::Pass));
    let long = assess(&limits, None, &carried(&[(Source::Grpc, b"1H")], false), CLOCKS);
    assert_eq!((long.left, long.tightest), (Some(Duration::from_millis(3_599_999)), Source::Grpc));
    assert_eq!(long.findings, []);
    let capped = assessed(&limits, &[(Source::Grpc, b"1H")], false);
    assert_eq!(capped.callers, long.left, "what holds once the answer turns out to be a stream");
    assert_eq!(capped.left, Some(Duration::from_millis(999)));
}

fn any_value() -> impl Strategy<Value = (Source, Vec<u8>)> {
    let source = prop::sample::select(CONTROLS.map(|(source, _)| source).to_vec());
    let digits = (0..3_000_u64).prop_map(|n| n.to_string().into_bytes());
    prop_oneof![
        (0..3_000_u32, prop::sample::select(b"HMSmun".to_vec()))
            .prop_map(|(n, unit)| { (Source::Grpc, [n.to_string().as_bytes(), &[unit]].concat()) }),
        (source.clone(), digits),
        (-2_000_i64..2_000).prop_map(|n| {
            (Source::RequestDeadline, (WALL_MILLIS.cast_signed() + n).to_string().into_bytes())
        }),
        (source, prop::collection::vec(any::<u8>(), 0..10)),
    ]
}

fn any_client_sources() -> impl Strategy<Value = ClientSources> {
    prop::sample::select(vec![ClientSources::Trusted, ClientSources::CapOnly, ClientSources::Ignore])
}

/// What a value allows, by the table of filters.md 3.4 and no other code than the parsers.
fn oracle(source: Source, value: &[u8]) -> Option<Duration> {
    match source {
        Source::Grpc => forms::grpc_timeout(value),
        Source::Connect => forms::connect_timeout(value),
        Source::Expected | Source::Upstream => forms::millis(value),
        Source::RequestTimeout => forms::request_timeout(value),
        Source::RequestDeadline => {
            let millis = i128::try_from(forms::moment(value)?.since_epoch().as_millis()).ok()?;
            match millis - i128::from(WALL_MILLIS) {
                -100..=100 => Some(Duration::from_millis(50)),
                ahead @ 101..=86_400_000 => Some(Duration::from_millis(u64::try_from(ahead).ok()?)),
                _ => None,
            }
        }
        Source::Rule | Source::PerTry | Source::Router => None,
    }
}

proptest! {
    #[test]
    fn the_deadline_is_never_later_than_any_accepted_source_and_is_one_of_them(
        values in prop::collection::vec(any_value(), 0..6),
        trusted: bool,
        client_sources in any_client_sources(),
    ) {
        let limits = limits(client_sources);
        let borrowed: Vec<_> = values.iter().map(|(source, value)| (*source, value.as_slice())).collect();
        let got = assessed(&limits, &borrowed, trusted);
        let mut allowances = vec![limits.timeout];
        allowances.extend(borrowed.iter().filter(|(s, _)| client_sources.accept(*s, trusted))
            .flat_map(|(s, v)| v.split(|byte| *byte == b',').map(move |v| (s, v)))
            .filter_map(|(s, v)| oracle(*s, v)));
        let deadline = got.deadline().unwrap();
        for allowance in &allowances {
            prop_assert!(deadline <= NOW.plus(*allowance));
        }
        prop_assert!(allowances.iter().any(|a| got.left == Some(a.saturating_sub(limits.hop_margin))));
        prop_assert_eq!(Some(deadline), got.left.map(|left| NOW.plus(left)));
    }

    #[test]
    fn to_7_nothing_an_outsider_adds_makes_the_deadline_later(
        honest in prop::collection::vec(any_value(), 0..4),
        forged in prop::collection::vec(any_value(), 0..6),
        client_sources in any_client_sources(),
    ) {
        let limits = limits(client_sources);
        let borrow = |values: &[(Source, Vec<u8>)]| assessed(
            &limits,
            &values.iter().map(|(source, value)| (*source, value.as_slice())).collect::<Vec<_>>(),
            false,
        );
        let both = [honest.clone(), forged].concat();
        prop_assert!(borrow(&both).left <= borrow(&honest).left);
        prop_assert!(borrow(&both).left <= Some(limits.timeout));
    }

    /// `Deadline.combined`: the earlier of the two, whichever comes first.
    #[test]
    fn to_3_two_deadlines_combine_to_the_earlier_in_either_order(one in any_value(), other in any_value()) {
        let limits = limits(ClientSources::CapOnly);
        let left = |values: &[&(Source, Vec<u8>)]| {
            let values: Vec<_> = values.iter().map(|(source, value)| (*source, value.as_slice())).collect();
            assessed(&limits, &values, true).left
        };
        let both = left(&[&one, &other]);
        prop_assert_eq!(both, left(&[&other, &one]));
        prop_assert_eq!(both, left(&[&one]).min(left(&[&other])));
    }
}
