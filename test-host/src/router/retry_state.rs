//! Whether an attempt is made again: what the route and the request's headers allow, and what an answer or a reset means
//! (`source/common/router/retry_state_impl.cc`).

use std::time::Duration;

use super::{BackOff, ResetReason, RetryOn, RetryPolicy};
use crate::message::HeaderMap;

/// One request's retries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryState {
    conditions: Vec<RetryOn>,
    codes: Vec<u32>,
    left: u32,
    back_off: BackOff,
    /// The bound of the next wait.
    next: Duration,
}

/// What becomes of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    No,
    /// It would be made again, had there not been as many already.
    LimitExceeded,
    /// It would be made again, were there not as many of the cluster's requests that are.
    Overflow,
    Yes,
}

impl RetryState {
    /// `None`: nothing is made again, whatever comes. What the headers ask for comes to what the route has.
    pub fn new(policy: Option<&RetryPolicy>, headers: &HeaderMap) -> Option<Self> {
        let text = |name: &[u8]| headers.first(name).map(|value| String::from_utf8_lossy(value).into_owned());
        let asked = [text(b"x-envoy-retry-on"), text(b"x-envoy-retry-grpc-on")];
        let own = policy.filter(|policy| !policy.retry_on.is_empty());
        if own.is_none() && asked.iter().all(Option::is_none) {
            return None;
        }
        let default = RetryPolicy::default();
        let policy = policy.unwrap_or(&default);
        let [http, grpc] =
            asked.map(|list| list.map(|list| RetryOn::parse_list(&list).0).unwrap_or_default());
        let mut conditions = policy.retry_on.clone();
        conditions.extend(http.into_iter().filter(|condition| !condition.is_of_grpc()));
        conditions.extend(grpc.into_iter().filter(|condition| condition.is_of_grpc()));
        let number = |text: String| text.trim().parse::<u32>().ok();
        let asked = text(b"x-envoy-max-retries").and_then(number);
        let mut codes: Vec<u32> = policy.retriable_status_codes.iter().copied().map(u32::from).collect();
        let further = text(b"x-envoy-retriable-status-codes").unwrap_or_default();
        codes.extend(further.split(',').filter_map(|code| code.trim().parse::<u32>().ok()));
        let left = match asked {
            Some(asked) if !conditions.is_empty() => asked,
            _ => policy.num_retries,
        };
        Some(RetryState {
            conditions,
            codes,
            left,
            back_off: policy.back_off,
            next: policy.back_off.base_interval,
        })
    }

    fn has(&self, condition: RetryOn) -> bool {
        self.conditions.contains(&condition)
    }

    /// Whether an answer is one to be tried again.
    pub fn wants_after_answer(&self, headers: &HeaderMap) -> bool {
        // Who is limited or overloaded is left alone.
        if headers.contains(b"x-envoy-ratelimited") {
            return self.has(RetryOn::EnvoyRateLimited);
        }
        let number = |name: &[u8]| std::str::from_utf8(headers.first(name)?).ok()?.parse::<u32>().ok();
        let status = number(b":status").unwrap_or(0);
        let by_status = |condition: &RetryOn| match condition {
            RetryOn::FiveXx => (500..600).contains(&status),
            RetryOn::GatewayError => (502..=504).contains(&status),
            RetryOn::Retriable4xx => status == 409,
            RetryOn::RetriableStatusCodes => self.codes.contains(&status),
            _ => false,
        };
        let grpc = number(b"grpc-status");
        let by_grpc =
            |condition: &RetryOn| condition.grpc_status().is_some_and(|status| grpc == Some(status));
        self.conditions.iter().any(|condition| by_status(condition) || by_grpc(condition))
    }

    /// Whether an attempt that came to no answer is tried again. `sent`: the upstream had begun to get the request.
    pub fn wants_after_reset(&self, reason: ResetReason, sent: bool) -> bool {
        if reason == ResetReason::Overflow {
            return false;
        }
        let is_of_connection = reason == ResetReason::RemoteConnectionFailure;
        self.has(RetryOn::Reset)
            || self.has(RetryOn::FiveXx)
            || self.has(RetryOn::GatewayError)
            || (self.has(RetryOn::ResetBeforeRequest) && !sent)
            || (self.has(RetryOn::ConnectFailure) && is_of_connection)
    }

    /// One retry less, where it is wanted and there are any left. `others`: how many requests of the cluster are being tried again
    /// at the moment, of at most `most`.
    pub fn take(&mut self, wanted: bool, others: u32, most: u32) -> Retry {
        if !wanted {
            return Retry::No;
        }
        let Some(left) = self.left.checked_sub(1) else { return Retry::LimitExceeded };
        self.left = left;
        if others < most { Retry::Yes } else { Retry::Overflow }
    }

    /// How long to wait before the next attempt: fully jittered, by a number drawn at random.
    pub fn wait(&mut self, random: u64) -> Duration {
        let bound = u64::try_from(self.next.as_millis()).unwrap_or(u64::MAX).max(1);
        let doubled = self.next.saturating_mul(2);
        self.next = if doubled < self.back_off.max_interval { doubled } else { self.back_off.max_interval };
        Duration::from_millis(random % bound).min(self.back_off.max_interval)
    }
}

impl RetryOn {
    /// What `grpc-status` says where it holds.
    fn grpc_status(self) -> Option<u32> {
        Some(match self {
            RetryOn::GrpcCancelled => 1,
            RetryOn::GrpcDeadlineExceeded => 4,
            RetryOn::GrpcResourceExhausted => 8,
            RetryOn::GrpcInternal => 13,
            RetryOn::GrpcUnavailable => 14,
            _ => return None,
        })
    }

    /// It stands in `x-envoy-retry-grpc-on`, not in `x-envoy-retry-on`.
    fn is_of_grpc(self) -> bool {
        self.grpc_status().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(retry_on: &[RetryOn], num_retries: u32) -> RetryPolicy {
        RetryPolicy { retry_on: retry_on.to_vec(), num_retries, ..RetryPolicy::default() }
    }

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        fields.iter().copied().collect()
    }

    #[test]
    fn without_a_condition_nothing_is_tried_again_whatever_number_is_asked_for() {
        let asked = headers(&[("x-envoy-max-retries", "3")]);
        assert_eq!(RetryState::new(None, &asked), None);
        assert_eq!(RetryState::new(Some(&policy(&[], 3)), &asked), None);
        assert!(RetryState::new(Some(&policy(&[RetryOn::FiveXx], 0)), &asked).is_some());
    }

    #[test]
    fn the_number_asked_for_stands_in_the_place_of_the_policys() {
        let take_all = |asked: &'static str| {
            let asked = headers(&[("x-envoy-max-retries", asked)]);
            let mut state =
                RetryState::new(Some(&policy(&[RetryOn::FiveXx], 2)), &asked).expect("a condition");
            (0..9).take_while(|_| state.take(true, 0, 3) == Retry::Yes).count()
        };
        assert_eq!(["0", "1", "5", "x", "-1"].map(take_all), [0, 1, 5, 2, 2]);
    }

    #[test]
    fn one_retry_is_used_up_by_an_overflow_and_none_where_none_is_wanted() {
        let mut state =
            RetryState::new(Some(&policy(&[RetryOn::FiveXx], 1)), &headers(&[])).expect("a condition");
        assert_eq!(state.take(false, 0, 3), Retry::No);
        assert_eq!(state.take(true, 3, 3), Retry::Overflow);
        assert_eq!(state.take(true, 0, 3), Retry::LimitExceeded);
    }

    #[test]
    fn the_bound_of_the_wait_doubles_up_to_the_longest() {
        let mut state =
            RetryState::new(Some(&policy(&[RetryOn::FiveXx], 9)), &headers(&[])).expect("a condition");
        // One less than the bound leaves all but one millisecond of it.
        let mut bound = 25;
        let waits: Vec<u128> = (0..6)
            .map(|_| {
                let wait = state.wait(bound - 1).as_millis();
                bound = (bound * 2).min(250);
                wait
            })
            .collect();
        assert_eq!(waits, [24, 49, 99, 199, 249, 249]);
        assert_eq!(state.wait(250).as_millis(), 0);
    }
}
