use super::*;
use wayside_sdk::HeaderBlock;

const TRACE: &str = "12345678901234567890123456789012";
const SPAN: &str = "1234567890123456";
const GOOD: &str = "00-12345678901234567890123456789012-1234567890123456-01";
const OTHER: &str = "80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-0";

fn block(headers: &[(&str, &str)]) -> HeaderBlock {
    HeaderBlock::from_pairs(headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())))
}

fn carried(headers: &[(&str, &str)]) -> Carried {
    extract(&block(headers), &[Format::TraceContext]).carried
}

#[test]
fn a_context_is_judged_by_all_its_lines() {
    let joined = format!("{GOOD},{GOOD}");
    let parent = |value| ("traceparent", value);
    for (headers, expected) in [
        (&[][..], Carried::Absent),
        (&[("tracestate", "a=1")], Carried::Absent),
        (&[parent(GOOD)], Carried::Valid),
        (&[parent(GOOD), ("tracestate", "a=1"), ("tracestate", "b=2")], Carried::Valid),
        (&[parent(GOOD), ("tracestate", "A=1")], Carried::BadState),
        (&[parent(GOOD), parent(GOOD)], Carried::Invalid),
        (&[parent(&joined)], Carried::Invalid),
        (&[parent("foo"), ("tracestate", "a=1")], Carried::Invalid),
    ] {
        assert_eq!(carried(headers), expected, "{headers:?}");
    }
}

#[test]
fn the_first_format_that_holds_a_context_decides() {
    use Format::{B3, B3Multi, TraceContext};
    let multi = [("x-b3-traceid", TRACE), ("x-b3-spanid", SPAN), ("x-b3-sampled", "1")];
    let all = [&[("traceparent", GOOD), ("b3", OTHER)][..], &multi].concat();
    let found = |headers: &[(&str, &str)], formats: &[Format]| {
        let block = block(headers);
        let found = extract(&block, formats);
        (found.carried, found.remote.map(|remote| remote.trace_id[0]), found.decision)
    };
    for (formats, first) in [
        (&[TraceContext, B3][..], 0x12),
        (&[B3, TraceContext], 0x80),
        (&[B3Multi, TraceContext], 0x12),
        // TE-4: where both are there the single header wins.
        (&[B3, B3Multi], 0x80),
        (&[B3Multi, B3], 0x80),
    ] {
        assert_eq!(found(&all, formats).1, Some(first), "{formats:?}");
    }
    assert_eq!(found(&multi, &[B3]), (Carried::Valid, Some(0x12), Some(true)), "one reader reads both forms");
    let broken = [("traceparent", "foo"), ("b3", OTHER)];
    assert_eq!(found(&broken, &[TraceContext, B3]), (Carried::Valid, Some(0x80), Some(false)));
    assert_eq!(found(&broken, &[TraceContext]), (Carried::Invalid, None, None));
    assert_eq!(found(&[("b3", "0")], &[TraceContext, B3]), (Carried::Valid, None, Some(false)));
    assert_eq!(found(&[("b3", OTHER), ("b3", OTHER)], &[B3]), (Carried::Invalid, None, None));
}

/// What is done: nothing, `tracestate` dropped, the trace joined, or one begun.
fn stance(policy: &Propagation, headers: &[(&str, &str)], trusted: bool) -> (&'static str, Carried) {
    let block = block(headers);
    let mut found = extract(&block, &policy.extract);
    let stance = match policy.stance(&mut found, trusted) {
        Stance::Leave => "leave",
        Stance::DropState => "drop state",
        Stance::Join(..) => "join",
        Stance::Root(None) => "root",
        Stance::Root(Some(_)) => "linked root",
    };
    (stance, found.carried)
}

const CASES: [&[(&str, &str)]; 4] = [
    &[],
    &[("traceparent", GOOD)],
    &[("traceparent", GOOD), ("tracestate", "A=1")],
    &[("traceparent", "foo")],
];

#[test]
fn by_default_only_a_broken_context_is_touched() {
    let policy = Propagation::default();
    let found = CASES.map(|headers| stance(&policy, headers, true).0);
    assert_eq!(found, ["leave", "leave", "drop state", "root"]);
    let passes = Propagation { on_invalid: OnInvalid::Pass, ..Propagation::default() };
    assert_eq!(CASES.map(|headers| stance(&passes, headers, true).0), ["leave"; 4]);
}

#[test]
fn a_hop_joins_what_is_valid_and_begins_what_is_not() {
    let policy = Propagation { role: Role::Trace, on_absent: OnAbsent::Start, ..Propagation::default() };
    assert_eq!(CASES.map(|headers| stance(&policy, headers, true).0), ["root", "join", "join", "root"]);
    let passes = Propagation { on_absent: OnAbsent::Pass, on_invalid: OnInvalid::Pass, ..policy };
    assert_eq!(CASES.map(|headers| stance(&passes, headers, true).0), ["leave", "join", "join", "leave"]);
    let observes = Propagation { role: Role::Observe, ..passes };
    assert_eq!(CASES.map(|headers| stance(&observes, headers, true).0), ["leave"; 4]);
}

#[test]
fn at_a_boundary_a_strangers_trace_ends_in_a_link() {
    let policy = Propagation {
        role: Role::Trace,
        on_absent: OnAbsent::Start,
        untrusted: Untrusted::Restart,
        extract: vec![Format::TraceContext, Format::B3],
        ..Propagation::default()
    };
    assert_eq!(stance(&policy, CASES[1], true), ("join", Carried::Valid));
    assert_eq!(stance(&policy, CASES[1], false), ("linked root", Carried::Untrusted));
    assert_eq!(stance(&policy, CASES[3], false), ("root", Carried::Invalid));
    assert_eq!(stance(&policy, CASES[0], false), ("root", Carried::Absent));
    // A decision alone is not believed either.
    let denied = block(&[("b3", "0")]);
    let mut found = extract(&denied, &policy.extract);
    assert_eq!(policy.stance(&mut found, false), Stance::Root(None));
    assert_eq!((found.decision, found.carried), (None, Carried::Untrusted));
    for (internal, trusted) in [(&[][..], false), (&[&b"true"[..]], true), (&[b"true", b"true"], false)] {
        assert_eq!(policy.trusts(internal.iter().copied()), trusted);
    }
    assert!(Propagation::default().trusts([]), "without a boundary nobody is a stranger");
}

/// Everything that is edited, in order.
fn edits(
    policy: &Propagation,
    headers: &[(&str, &str)],
    onward: &Onward<'_>,
    trusted: bool,
) -> Vec<(String, Option<String>)> {
    let mut edits = Vec::new();
    let mut edit = |edit: Edit<'_>| {
        edits.push(match edit {
            Edit::Set(name, value) => {
                (name.as_str().to_owned(), Some(String::from_utf8(value.to_vec()).unwrap()))
            }
            Edit::Remove(name) => (name.as_str().to_owned(), None),
        });
        Ok::<(), ()>(())
    };
    let block = block(headers);
    policy.check_baggage(&block, trusted, &mut edit).unwrap();
    policy.inject(&block, onward, &mut edit).unwrap();
    edits
}

fn told(edits: &[(String, Option<String>)]) -> Vec<(&str, Option<&str>)> {
    edits.iter().map(|(name, value)| (name.as_str(), value.as_deref())).collect()
}

const ONWARD: Onward<'static> = Onward {
    trace_id: [0xAB; 16],
    span_id: [0xCD; 8],
    parent_id: Some([0xEF; 8]),
    flags: 3,
    debug: false,
    state: inject::State::AsItCame,
};
const A: &str = "abababababababababababababababab";
const C: &str = "cdcdcdcdcdcdcdcd";
const E: &str = "efefefefefefefef";

#[test]
fn a_plain_request_is_edited_once() {
    let policy = Propagation { role: Role::Trace, ..Propagation::default() };
    let parent = format!("00-{A}-{C}-03");
    let headers = [("traceparent", GOOD), ("tracestate", "a=1"), ("b3", OTHER)];
    assert_eq!(told(&edits(&policy, &headers, &ONWARD, true)), [("traceparent", Some(parent.as_str()))]);
    let state = Onward { state: inject::State::Field(b"ot=th:c"), ..ONWARD };
    assert_eq!(
        told(&edits(&policy, &headers, &state, true)),
        [("traceparent", Some(parent.as_str())), ("tracestate", Some("ot=th:c"))]
    );
    let none = Onward { state: inject::State::Field(b""), ..ONWARD };
    assert_eq!(
        told(&edits(&policy, &headers, &none, true)),
        [("traceparent", Some(parent.as_str())), ("tracestate", None)]
    );
    assert_eq!(told(&edits(&policy, &[], &none, true)).len(), 1, "what is not there is not removed");
}

/// TE-4: every format is told in its own words.
#[test]
fn te_4_what_is_told_in_one_format_is_not_left_in_another() {
    let policy = |inject: &[Format]| Propagation {
        role: Role::Trace,
        extract: vec![Format::TraceContext, Format::B3],
        inject: inject.to_vec(),
        ..Propagation::default()
    };
    let headers = [
        ("traceparent", GOOD),
        ("tracestate", "a=1"),
        ("b3", OTHER),
        ("x-b3-traceid", TRACE),
        ("x-b3-spanid", SPAN),
        ("x-b3-sampled", "1"),
        ("x-b3-flags", "1"),
    ];
    let single = format!("{A}-{C}-1-{E}");
    assert_eq!(
        told(&edits(&policy(&[Format::B3]), &headers, &ONWARD, true)),
        [
            ("traceparent", None),
            ("tracestate", None),
            ("b3", Some(single.as_str())),
            ("x-b3-traceid", None),
            ("x-b3-spanid", None),
            ("x-b3-sampled", None),
            ("x-b3-flags", None),
        ]
    );
    assert_eq!(
        told(&edits(&policy(&[Format::B3Multi]), &[("b3", "d")], &Onward { flags: 2, ..ONWARD }, true)),
        [
            ("b3", None),
            ("x-b3-traceid", Some(A)),
            ("x-b3-spanid", Some(C)),
            ("x-b3-parentspanid", Some(E)),
            ("x-b3-sampled", Some("0")),
        ]
    );
    let debug = Onward { debug: true, parent_id: None, ..ONWARD };
    assert_eq!(
        told(&edits(&policy(&[Format::B3Multi]), &[("x-b3-sampled", "1")], &debug, true)),
        [
            ("x-b3-traceid", Some(A)),
            ("x-b3-spanid", Some(C)),
            ("x-b3-sampled", None),
            ("x-b3-flags", Some("1"))
        ]
    );
    let every = policy(&[Format::TraceContext, Format::B3, Format::B3Multi]);
    assert_eq!(edits(&every, &[], &ONWARD, true).len(), 6);
}

#[test]
fn te_3_strangers_bring_only_the_baggage_that_is_allowed() {
    let allow = Some(vec!["tenant".to_owned()]);
    let policy = Propagation { baggage: Baggage::Checked { allow }, ..Propagation::default() };
    let headers = [("baggage", "tenant=a, user=b"), ("baggage", "tenant=c;p=1")];
    let of = |headers: &[(&str, &str)], trusted| {
        let edits = edits(&policy, headers, &ONWARD, trusted);
        edits.into_iter().find(|(name, _)| name == "baggage").map(|(_, value)| value)
    };
    assert_eq!(of(&headers, true), None);
    assert_eq!(of(&headers, false), Some(Some("tenant=a,tenant=c;p=1".to_owned())));
    assert_eq!(of(&[("baggage", "user=b")], false), Some(None));
    assert_eq!(of(&[], false), None);
}
