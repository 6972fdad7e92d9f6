//! What an attempt is told. In which chain a stream stands, and what both share, the real Envoy shows: `to_6_…` in the package `wayside-proof`.

use super::*;
use proptest::prelude::*;

const ALL: Sources = Sources::of_bits(0)
    .with(Source::Grpc)
    .with(Source::Connect)
    .with(Source::RequestTimeout)
    .with(Source::RequestDeadline);
const GRPC: Speaks = Speaks { grpc: true, connect: false };
const CONNECT: Speaks = Speaks { grpc: false, connect: true };

fn block(headers: &[(&str, &str)]) -> HeaderBlock {
    HeaderBlock::from_pairs(headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())))
}

fn edited(propagate: Sources, headers: &[(&str, &str)], speaks: Speaks, left: u64) -> Vec<String> {
    let told = |edit: &Edit| match edit {
        Edit::Set(name, value) => format!("{}: {value}", name.as_str()),
        Edit::Remove(name) => format!("-{}", name.as_str()),
    };
    edits(propagate, &block(headers), speaks, Duration::from_millis(left)).iter().map(told).collect()
}

#[test]
fn to_6_an_attempt_is_told_what_is_left_and_never_more_than_before() {
    let grpc =
        [("grpc-timeout", "900m"), ("connect-timeout-ms", "900"), ("x-request-deadline", "1700000000000")];
    assert_eq!(edited(ALL, &grpc, GRPC, 250), ["grpc-timeout: 250000u"]);
    assert_eq!(edited(ALL, &grpc, CONNECT, 250), ["connect-timeout-ms: 250"]);
    assert!(edited(ALL, &grpc, GRPC, 900).is_empty());
    assert!(edited(ALL, &grpc, GRPC, 5_000).is_empty());
    assert!(edited(Sources::default(), &grpc, GRPC, 250).is_empty(), "the operator has it stay");
    assert!(edited(ALL, &[], GRPC, 250).is_empty(), "what was not told is not told");
    let seconds = [("request-timeout", "9")];
    assert_eq!(edited(ALL, &seconds, CONNECT, 2_500), ["request-timeout: 2"]);
    assert_eq!(edited(ALL, &seconds, CONNECT, 250), ["-request-timeout"]);
    assert_eq!(edited(ALL, &[("grpc-timeout", "soon")], GRPC, 250), ["grpc-timeout: 250000u"]);
    assert_eq!(
        edited(ALL, &[("grpc-timeout", "1n")], GRPC, 0),
        ["grpc-timeout: 1n"],
        "there is nothing less"
    );
}

#[test]
fn an_attempt_has_until_the_deadline_and_no_longer_than_the_router_gives_it() {
    let now = Monotonic::at(Duration::from_secs(50));
    let deadline = Some(now.plus(Duration::from_millis(700)));
    let ms = |millis| Some(Duration::from_millis(millis));
    assert_eq!(left(deadline, &block(&[]), now), ms(700));
    assert_eq!(left(deadline, &block(&[(EXPECTED.as_str(), "300")]), now), ms(300), "one try of several");
    assert_eq!(
        left(deadline, &block(&[(EXPECTED.as_str(), "900")]), now),
        ms(700),
        "counted from the upload's end"
    );
    assert_eq!(left(None, &block(&[(EXPECTED.as_str(), "300")]), now), ms(300));
    assert_eq!(left(None, &block(&[(EXPECTED.as_str(), "0")]), now), None, "without end");
    assert_eq!(left(None, &block(&[]), now), None);
}

#[test]
fn a_live_request_is_known_by_its_id_and_forgotten_with_it() {
    let of = |id: &str| bucket(&block(&[("x-request-id", id)]));
    let known = |id: &str| count(of(id), |count| count) > 0;
    assert!(!known("ab") && !known(""));
    let (one, same, nameless) = (Seen::new(of("ab")), Seen::new(of("ab")), Seen::new(bucket(&block(&[]))));
    assert!(known("ab") && known("") && !known("ac"));
    drop((one, nameless));
    assert!(known("ab") && !known(""));
    drop(same);
    assert!(!known("ab"));
}

proptest! {
    #[test]
    fn any_bytes_in_the_filter_state_are_a_word_or_none(told: Vec<u8>) {
        prop_assert_eq!(Word::read(&told).is_some(), told.len() == 10);
    }
}
