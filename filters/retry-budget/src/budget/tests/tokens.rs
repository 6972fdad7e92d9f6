//! RB-4 and RB-6: gRPC's throttle (proposal A6, "Throttling" and "Validation") and the quota of the AWS SDKs (smithy-rs, the tests of its
//! standard strategy).

use super::*;
use crate::config::Config;
use proptest::prelude::*;
use wayside_sdk::{Configuration, Envelope};

const THROTTLE: Throttle = Throttle { max_tokens: 10, token_ratio: 100 };

fn throttled(throttle: Throttle, ends: &[(u32, Answer)]) -> Tokens {
    let mut tokens = Tokens::full(throttle.full());
    ends.iter().for_each(|(used, answer)| throttle.settle(&mut tokens, &ended(*used, *answer)));
    tokens
}

#[test]
fn rb_4_there_are_retries_while_more_than_half_of_the_tokens_are_left() {
    for failures in 0..12 {
        let tokens = throttled(THROTTLE, &vec![(0, FAILED); failures]);
        let held = u32::try_from(10_usize.saturating_sub(failures)).unwrap();
        assert_eq!(tokens.held, held * 1_000);
        // The request's own failure comes before its first retry.
        let expected = u8::try_from(held.saturating_sub(1).saturating_sub(5).min(3)).unwrap();
        assert_eq!(THROTTLE.grant(&tokens, 3), expected, "after {failures} failures");
    }
}

#[test]
fn rb_4_each_try_that_fails_takes_a_token_and_a_success_brings_its_ratio() {
    assert_eq!(throttled(THROTTLE, &[(2, FAILED)]).held, 7_000, "two retries and the first try");
    assert_eq!(throttled(THROTTLE, &[(2, Answer::Success)]).held, 8_100);
    assert_eq!(throttled(THROTTLE, &[(0, Answer::Success); 5]).held, 10_000, "never more than all");
    assert_eq!(throttled(THROTTLE, &[(9, FAILED); 5]).held, 0);
    assert_eq!(throttled(THROTTLE, &[(0, Answer::Nothing)]).held, 10_000);
    let mut tokens = Tokens::full(10_000);
    THROTTLE.settle(&mut tokens, &End { refused: true, ..ended(0, Answer::Nothing) });
    assert_eq!(tokens.held, 9_000, "a pushback that wants no retry is a failure");
}

#[test]
fn rb_4_ten_successes_make_up_for_a_failure() {
    let mut tokens = throttled(THROTTLE, &[(0, FAILED); 5]);
    assert_eq!(THROTTLE.grant(&tokens, 1), 0);
    for success in 1..=20 {
        THROTTLE.settle(&mut tokens, &ended(0, Answer::Success));
        assert_eq!(THROTTLE.grant(&tokens, 1), u8::from(success > 10), "{success}");
    }
}

#[test]
fn rb_4_a_ratio_has_three_places_and_no_more() {
    let throttle = Throttle { token_ratio: 1, ..THROTTLE };
    let mut tokens = throttled(throttle, &[(0, FAILED)]);
    (0..999).for_each(|_| throttle.settle(&mut tokens, &ended(0, Answer::Success)));
    assert_eq!(tokens.held, 9_999);
    let read = |budget: &str| {
        let text = format!(r#"{{"version": 1, "defaults": {{"preset": "grpc", "budget": {budget}}}}}"#);
        Envelope::<Config>::parse(text.as_bytes()).map(|envelope| envelope.defaults.kind).ok()
    };
    assert_eq!(read("{}"), Some(Kind::Throttle(THROTTLE)));
    let other = Throttle { max_tokens: 1000, token_ratio: 1 };
    assert_eq!(read(r#"{"max_tokens": 1000, "token_ratio": 0.001}"#), Some(Kind::Throttle(other)));
    for wrong in [
        r#"{"max_tokens": 0}"#,
        r#"{"max_tokens": 1001}"#,
        r#"{"token_ratio": 0}"#,
        r#"{"token_ratio": 0.0001}"#,
    ] {
        assert_eq!(read(wrong), None, "{wrong}");
    }
}

/// A quota with this much, after a request with so many retries wanted and made.
fn after(quota: Quota, tokens: &mut Tokens, wanted: u8, used: u32, answer: Answer) -> u8 {
    let granted = quota.grant(tokens, wanted);
    quota.settle(tokens, &Grant::of(granted), &ended(used.min(u32::from(granted)), answer));
    granted
}

#[test]
fn rb_6_a_retry_costs_and_the_last_one_comes_back_when_it_succeeds() {
    for (quota, cost) in [(Quota::classic(500), 5), (Quota::of_2026(500), 14)] {
        let mut tokens = Tokens::full(500);
        after(quota, &mut tokens, 4, 2, Answer::Success);
        assert_eq!(tokens.held, 500 - cost);
        after(quota, &mut tokens, 2, 2, FAILED);
        assert_eq!(tokens.held, 500 - 3 * cost);
    }
}

#[test]
fn rb_6_the_quota_is_reached_after_a_single_retry() {
    for quota in [Quota::classic(5), Quota::of_2026(14), Quota::of_2026(20)] {
        let mut tokens = Tokens::full(quota.capacity);
        assert_eq!(after(quota, &mut tokens, 4, 4, FAILED), 1);
        assert_eq!(tokens.held, quota.capacity - quota.cost);
        assert_eq!(after(quota, &mut tokens, 4, 4, FAILED), 0);
    }
}

#[test]
fn rb_6_there_are_no_retries_without_a_quota() {
    let mut tokens = Tokens::full(0);
    assert_eq!(after(Quota::classic(0), &mut tokens, 10, 0, Answer::Success), 0);
    assert_eq!(tokens.held, 0, "and none to be earned");
}

#[test]
fn rb_6_a_quota_recovers_with_successes() {
    let (quota, mut tokens) = (Quota::of_2026(30), Tokens::full(30));
    after(quota, &mut tokens, 2, 2, Answer::Success);
    assert_eq!(tokens.held, 16);
    after(quota, &mut tokens, 2, 1, Answer::Success);
    assert_eq!(tokens.held, 16);
    for _ in 0..20 {
        after(quota, &mut tokens, 2, 0, Answer::Success);
    }
    assert_eq!(tokens.held, 30, "one for each first try that succeeds, up to all");
}

#[test]
fn rb_6_timeouts_and_throttling_have_costs_of_their_own() {
    let cases = [
        (Quota::classic(100), Cause::TimedOut, 80),
        (Quota::classic(100), Cause::Throttled, 90),
        (Quota::of_2026(100), Cause::TimedOut, 72),
        (Quota::of_2026(100), Cause::Throttled, 90),
    ];
    for (quota, cause, left) in cases {
        let mut tokens = Tokens::full(100);
        after(quota, &mut tokens, 2, 2, Answer::Failure(cause));
        assert_eq!(tokens.held, left, "{quota:?} {cause:?}");
    }
    let mut tokens = Tokens::full(500);
    after(Quota::of_2026(500), &mut tokens, 2, 1, Answer::Success);
    assert_eq!(tokens.held, 500);
}

#[test]
fn rb_6_twenty_first_tries_fill_an_empty_quota_of_twenty() {
    let (quota, mut tokens) = (Quota::classic(20), Tokens::full(20));
    after(quota, &mut tokens, 2, 2, Answer::Failure(Cause::TimedOut));
    assert_eq!(tokens.held, 0);
    for n in 1..=20 {
        after(quota, &mut tokens, 2, 0, Answer::Success);
        assert_eq!(tokens.held, n);
    }
}

proptest! {
    #[test]
    fn rb_14_no_record_of_tokens_grants_more_than_asked(
        bytes in prop::collection::vec(any::<u8>(), 0..20),
        wanted: u8,
        used: u32,
        refused: bool,
    ) {
        let Some(mut tokens) = Tokens::decode(&bytes) else { return Ok(()) };
        prop_assert!(THROTTLE.grant(&tokens, wanted) <= wanted);
        let quota = Quota::classic(500);
        let granted = quota.grant(&mut tokens, wanted);
        prop_assert!(granted <= wanted);
        for answer in [Answer::Success, Answer::Nothing, FAILED, Answer::Failure(Cause::TimedOut)] {
            let end = End { used, answer, deposits: true, refused };
            THROTTLE.settle(&mut tokens, &end);
            quota.settle(&mut tokens, &Grant::of(granted), &end);
            prop_assert!(tokens.held <= 10_000);
        }
        let mut bytes = Vec::new();
        tokens.encode(&mut bytes);
        prop_assert_eq!(Tokens::decode(&bytes), Some(tokens));
    }
}
