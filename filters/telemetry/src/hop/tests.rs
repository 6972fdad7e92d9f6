use proptest::prelude::*;
use wayside_sdk::HeaderBlock;

use super::*;
use crate::propagation::{OnAbsent, Propagation, Role, Untrusted, extract};
use crate::sampling::Kind;
use crate::trace::threshold::Threshold;

/// Counts up, as if that were chance.
struct Numbers(u8);

impl Draw<()> for Numbers {
    fn span(&mut self) -> Result<[u8; 8], ()> {
        self.0 += 1;
        Ok([self.0; 8])
    }

    fn trace(&mut self) -> Result<[u8; 16], ()> {
        self.0 += 1;
        Ok([self.0; 16])
    }
}

fn policy() -> Propagation {
    Propagation {
        role: Role::Trace,
        on_absent: OnAbsent::Start,
        extract: vec![Format::TraceContext, Format::B3],
        ..Propagation::default()
    }
}

fn hop(
    policy: &Propagation,
    headers: &[(&str, &str)],
    sampler: Sampler,
    limit: bool,
    trusted: bool,
) -> Option<Hop> {
    let block =
        HeaderBlock::from_pairs(headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())));
    let mut found = extract(&block, &policy.extract);
    let stance = policy.stance(&mut found, trusted);
    let mut choice = Choice {
        sampler: Some(sampler),
        is_within_limit: &mut || limit,
        tracestate_key: policy.tracestate_key.as_deref(),
    };
    Hop::next(&found, stance, &mut Numbers(0), &mut choice).unwrap()
}

fn sampler(kind: Kind, kept: u64, of: u64) -> Sampler {
    Sampler { kind, threshold: Threshold::of(kept, of, 4) }
}

fn state(hop: &Hop) -> Option<String> {
    match hop.onward().state {
        State::AsItCame => None,
        State::Field(field) => Some(String::from_utf8(field.to_vec()).unwrap()),
    }
}

/// Randomness `80…`: kept by half and more.
const PARENT: &str = "00-12345678901234567880000000000000-1234567890123456-03";

#[test]
fn a_valid_trace_goes_on_with_a_span_of_ours() {
    let headers = [("traceparent", PARENT), ("tracestate", "a=1")];
    let hop = hop(&policy(), &headers, sampler(Kind::Parent, 1, 100), true, true).unwrap();
    assert_eq!((hop.span_id, hop.flags, hop.verdict), ([1; 8], 3, Verdict::Sampled));
    assert_eq!(hop.parent_id, Some([0x12, 0x34, 0x56, 0x78, 0x90, 0x12, 0x34, 0x56]));
    assert_eq!(state(&hop), None, "the header is not touched");
    assert_eq!(hop.ids().tracestate, b"a=1", "but the span tells of it");
    let attempt = hop.onward_of_attempt([9; 8]);
    assert_eq!((attempt.span_id, attempt.parent_id, attempt.trace_id), ([9; 8], Some([1; 8]), hop.trace_id));
}

#[test]
fn flags_are_the_decision_and_what_was_known_of_chance() {
    for (flags, expected) in [("00", 0), ("01", 1), ("02", 2), ("03", 3), ("ff", 3), ("fc", 0)] {
        let parent = format!("00-12345678901234567880000000000000-1234567890123456-{flags}");
        let hop =
            hop(&policy(), &[("traceparent", &parent)], sampler(Kind::Parent, 1, 1), true, true).unwrap();
        assert_eq!(hop.flags, expected, "{flags}");
    }
    let root = hop(&policy(), &[], sampler(Kind::Never, 1, 1), true, true).unwrap();
    assert_eq!((root.flags, root.parent_id, root.trace_id, root.span_id), (2, None, [1; 16], [2; 8]));
}

#[test]
fn a_limit_that_is_reached_leaves_the_trace_unsampled_and_claims_nothing() {
    let headers = [("traceparent", PARENT), ("tracestate", "ot=th:8;rv:80000000000000;x:1")];
    for kind in [Kind::Parent, Kind::Ratio, Kind::Always, Kind::Consistent] {
        let hop = hop(&policy(), &headers, sampler(kind, 1, 1), false, true).unwrap();
        assert_eq!((hop.flags, hop.verdict), (2, Verdict::Limited), "{kind:?}");
        assert_eq!(state(&hop).as_deref(), Some("ot=rv:80000000000000;x:1"), "{kind:?}");
    }
}

#[test]
fn a_consistent_decision_is_told_in_tracestate() {
    let consistent = |kept, headers: &[(&str, &str)]| {
        hop(&policy(), headers, sampler(Kind::Consistent, kept, 4), true, true).unwrap()
    };
    let hop = consistent(2, &[("traceparent", PARENT), ("tracestate", "a=1,ot=rv:c0000000000000")]);
    assert_eq!((hop.flags, state(&hop).as_deref()), (3, Some("ot=th:8;rv:c0000000000000,a=1")));
    let hop = consistent(1, &[("traceparent", PARENT), ("tracestate", "a=1,ot=th:8")]);
    assert_eq!((hop.flags, state(&hop).as_deref()), (2, Some("a=1")), "it is dropped here");
    let hop = consistent(2, &[("traceparent", PARENT), ("tracestate", "ot=th:8")]);
    assert_eq!(state(&hop), None, "it says so already");
    assert_eq!(state(&consistent(4, &[])).as_deref(), Some("ot=th:0"));
}

#[test]
fn a_callers_threshold_that_contradicts_its_decision_is_erased() {
    for (flags, th, kept) in [("03", "8", true), ("03", "9", false), ("02", "9", true), ("02", "8", false)] {
        let parent = format!("00-12345678901234567880000000000000-1234567890123456-{flags}");
        let given = format!("ot=th:{th}");
        let headers = [("traceparent", parent.as_str()), ("tracestate", given.as_str())];
        let hop = hop(&policy(), &headers, sampler(Kind::Parent, 1, 100), true, true).unwrap();
        assert_eq!(state(&hop), (!kept).then(String::new), "{flags} {th}");
    }
}

#[test]
fn te_4_what_b3_decided_is_heeded() {
    const IDS: &str = "80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1";
    let decided = |value: &str, kind| {
        let hop = hop(&policy(), &[("b3", value)], sampler(kind, 0, 1), true, true).unwrap();
        (hop.verdict == Verdict::Sampled, hop.debug, hop.parent_id.is_some(), hop.flags & 2 != 0)
    };
    for (value, kind, expected) in [
        (format!("{IDS}-1"), Kind::Parent, (true, false, true, false)),
        (format!("{IDS}-0"), Kind::Parent, (false, false, true, false)),
        (format!("{IDS}-d"), Kind::Never, (true, true, true, false)),
        (IDS.to_owned(), Kind::Parent, (false, false, true, false)),
        ("0".to_owned(), Kind::Parent, (false, false, false, true)),
        ("1".to_owned(), Kind::Parent, (true, false, false, true)),
        ("d".to_owned(), Kind::Never, (true, true, false, true)),
    ] {
        assert_eq!(decided(&value, kind), expected, "{value}");
    }
    // A `tracestate` without its `traceparent` is nobody's.
    let headers = [("b3", "80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1"), ("tracestate", "a=1")];
    let hop = hop(&policy(), &headers, sampler(Kind::Parent, 1, 1), true, true).unwrap();
    assert_eq!(state(&hop).as_deref(), Some(""));
}

#[test]
fn a_strangers_trace_is_linked_to_and_its_decision_is_not_heeded() {
    let policy = Propagation { untrusted: Untrusted::Restart, ..policy() };
    let hop = hop(
        &policy,
        &[("traceparent", PARENT), ("tracestate", "a=1")],
        sampler(Kind::Parent, 0, 1),
        true,
        false,
    );
    let hop = hop.unwrap();
    assert_eq!((hop.verdict, hop.trace_id, hop.parent_id), (Verdict::Dropped, [1; 16], None));
    assert_eq!(hop.link.map(|link| (link.span_id[0], link.flags)), Some((0x12, 3)));
    assert_eq!(state(&hop).as_deref(), Some(""));
}

#[test]
fn a_member_of_our_own_tells_our_span() {
    let policy = Propagation { tracestate_key: Some("shop".to_owned()), ..policy() };
    let hop = hop(
        &policy,
        &[("traceparent", PARENT), ("tracestate", "a=1,shop=old")],
        sampler(Kind::Parent, 1, 1),
        true,
        true,
    );
    assert_eq!(state(&hop.unwrap()).as_deref(), Some("shop=0101010101010101,a=1"));
}

proptest! {
    /// TE-2: whatever comes, what goes on is in the grammar.
    #[test]
    fn te_2_whatever_comes_what_goes_on_is_a_context(
        parent in prop::option::of("(00|cc|ff)-[0-9a-f]{32}-[0-9a-f]{16}-0[0-3](-x)?|[0-9a-f-]{0,60}"),
        tracestate in prop::collection::vec("([a-z]{1,3}=[0-9a-f:;]{0,6},?){0,4}", 0..3),
        ratio in 0_u64..=4,
        kind in prop::sample::select(&[Kind::Parent, Kind::Ratio, Kind::Always, Kind::Never, Kind::Consistent][..]),
        limit: bool,
        trusted: bool,
    ) {
        let mut headers = Vec::new();
        headers.extend(parent.as_deref().map(|value| ("traceparent", value)));
        headers.extend(tracestate.iter().map(|value| ("tracestate", value.as_str())));
        let hop = hop(&policy(), &headers, sampler(kind, ratio, 4), limit, trusted).unwrap();
        let onward = TraceParent { trace_id: hop.trace_id, parent_id: hop.span_id, flags: hop.flags };
        prop_assert_eq!(TraceParent::parse(&onward.to_text()), Ok(onward));
        if let Some(state) = state(&hop) {
            let read = TraceState::parse([state.as_bytes()]);
            prop_assert_eq!(read.map(|state| state.is_changed()), Ok(false));
        }
        prop_assert_eq!(hop.is_sampled(), hop.flags & TraceParent::SAMPLED != 0);
        prop_assert!(limit || !hop.is_sampled());
    }
}
