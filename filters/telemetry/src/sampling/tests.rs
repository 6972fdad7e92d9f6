use proptest::prelude::*;

use super::*;

fn threshold(kept: u64, of: u64) -> Option<Threshold> {
    Threshold::of(kept, of, 4)
}

/// Random bits that nothing else here knows: SplitMix64 of a number.
fn trace(number: u64) -> [u8; 16] {
    let mix = |mut z: u64| {
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    let low = mix(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let mut id = [0; 16];
    id[..8].copy_from_slice(&mix(low).to_be_bytes());
    id[8..].copy_from_slice(&low.to_be_bytes());
    id
}

fn root(number: u64) -> Asked {
    let randomness = Randomness::of_trace(trace(number));
    Asked { parent: None, debug: false, randomness, th: None }
}

const KINDS: [Kind; 5] = [Kind::Parent, Kind::Ratio, Kind::Always, Kind::Never, Kind::Consistent];

#[test]
fn each_kind_listens_to_whom_it_says() {
    let decided = |kind| {
        let sampler = Sampler { kind, threshold: threshold(1, 2) };
        let asked = |parent, high| Asked {
            parent,
            debug: false,
            randomness: Randomness::parse(if high { b"ffffffffffffff" } else { b"00000000000001" }).unwrap(),
            th: None,
        };
        [None, Some(true), Some(false)]
            .map(|parent| [true, false].map(|high| sampler.decide(asked(parent, high)).sampled))
    };
    let (by_ratio, yes, no) = ([true, false], [true; 2], [false; 2]);
    assert_eq!(decided(Kind::Parent), [by_ratio, yes, no]);
    assert_eq!(decided(Kind::Ratio), [by_ratio; 3]);
    assert_eq!(decided(Kind::Consistent), [by_ratio; 3]);
    assert_eq!(decided(Kind::Always), [yes; 3]);
    assert_eq!(decided(Kind::Never), [no; 3]);
}

#[test]
fn te_11_a_tenth_of_a_hundred_thousand_traces_is_a_tenth() {
    for kind in [Kind::Ratio, Kind::Consistent, Kind::Parent] {
        let sampler = Sampler { kind, threshold: threshold(1, 10) };
        let sampled = (0..100_000).filter(|number| sampler.decide(root(*number)).sampled).count();
        // Three standard deviations of a binomial distribution: 3 * sqrt(100 000 * 0.1 * 0.9) = 284.6.
        assert!((9716..=10_284).contains(&sampled), "{kind:?}: {sampled}");
    }
}

#[test]
fn te_11_two_proxies_in_a_row_agree_on_every_trace() {
    let sampler = Sampler { kind: Kind::Consistent, threshold: threshold(1, 10) };
    for number in 0..100_000 {
        let first = sampler.decide(root(number));
        let next = Asked { parent: Some(first.sampled), th: first.th, ..root(number) };
        assert_eq!(sampler.decide(next), first, "trace {number}");
    }
}

#[test]
fn te_11_who_samples_less_samples_some_of_the_same() {
    let [more, less] = [2, 1].map(|kept| Sampler { kind: Kind::Consistent, threshold: threshold(kept, 10) });
    for number in 0..100_000 {
        assert!(more.decide(root(number)).sampled || !less.decide(root(number)).sampled);
    }
}

/// Adjusted counts of what is sampled add up to what there was.
#[test]
fn te_12_sampled_requests_stand_for_all_of_them_whatever_the_tail_keeps() {
    let sampler = Sampler { kind: Kind::Consistent, threshold: threshold(1, 10) };
    let counts =
        (0..100_000).filter_map(|number| sampler.decide(root(number)).th).map(Threshold::adjusted_count);
    let total: f64 = counts.sum();
    assert!((total - 100_000.0).abs() < 2_846.0, "{total}");
}

proptest! {
    #[test]
    fn a_threshold_is_told_only_where_it_is_true(
        kind in prop::sample::select(&KINDS[..]), kept in 0_u64..=10_000, number: u64,
        parent: Option<bool>, debug: bool, th in prop::option::of(1_u64..=10_000),
    ) {
        let sampler = Sampler { kind, threshold: threshold(kept, 10_000) };
        let asked = Asked { parent, debug, th: th.and_then(|th| threshold(th, 10_000)), ..root(number) };
        let decision = sampler.decide(asked);
        if let Some(told) = decision.th {
            prop_assert_eq!(decision.sampled, told.keeps(asked.randomness));
            prop_assert!(kind == Kind::Consistent || Some(told) == asked.th);
            if kind == Kind::Consistent {
                prop_assert_eq!(Some(told), sampler.threshold, "never lower than the own");
            }
        }
        prop_assert!(decision.sampled || !debug, "debug is always sampled");
        prop_assert_eq!(decision.limited(), Decision { sampled: false, th: None });
    }

    #[test]
    fn the_same_trace_is_decided_alike_everywhere(kept in 0_u64..=10_000, number: u64) {
        let [a, b] = [Kind::Ratio, Kind::Consistent].map(|kind| {
            Sampler { kind, threshold: threshold(kept, 10_000) }.decide(root(number)).sampled
        });
        prop_assert_eq!(a, b);
    }
}

#[test]
fn te_12_errors_and_slow_requests_are_kept_and_others_are_not() {
    let tail = Tail { errors: true, slow: Some(Duration::from_secs(1)) };
    let plain =
        Ended { status: Some(200), grpc_status: None, reset: false, duration: Duration::from_millis(999) };
    for (ended, reason) in [
        (plain, None),
        (Ended { status: Some(499), ..plain }, None),
        (Ended { status: Some(500), ..plain }, Some(TailReason::Error)),
        (Ended { status: None, ..plain }, Some(TailReason::Reset)),
        (Ended { reset: true, ..plain }, Some(TailReason::Reset)),
        (Ended { duration: Duration::from_secs(1), ..plain }, Some(TailReason::Slow)),
        (Ended { status: Some(503), duration: Duration::from_secs(9), ..plain }, Some(TailReason::Error)),
    ] {
        assert_eq!(tail.keeps(ended), reason, "{ended:?}");
    }
    for status in 0..=17 {
        let kept = tail.keeps(Ended { grpc_status: Some(status), ..plain });
        assert_eq!(kept.is_some(), [2, 4, 13, 14, 15].contains(&status), "{status}");
    }
    let nothing = Tail { errors: false, slow: None };
    assert_eq!(nothing.keeps(Ended { status: None, reset: true, ..plain }), None);
}
