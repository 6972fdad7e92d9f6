//! Whether sending a request twice can do no harm, whether it already is a second one, and whether an answer would have it sent again: asked by
//! whoever retries or hedges.

/// What of a request decides that. Bytes as they came.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    pub method: &'a [u8],
    /// For gRPC the method called: `/package.Service/Method`.
    pub path: &'a [u8],
    pub grpc: bool,
    /// A header `idempotency-key` that is not empty.
    pub idempotency_key: bool,
    /// A tunnel or an upgrade, which nobody can replay.
    pub tunnel: bool,
}

/// Idempotent methods of RFC 9110 section 9.2.2, and QUERY of its own draft.
const IDEMPOTENT: [&[u8]; 7] = [b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE", b"QUERY"];

/// Whether the request may be retried. gRPC is POST all over: only methods the operator listed are known to be safe.
#[must_use]
pub fn may_be_repeated(facts: &Facts<'_>, idempotent_only: bool, grpc_methods: &[String]) -> bool {
    if facts.tunnel {
        return false;
    }
    if !idempotent_only || facts.idempotency_key {
        return true;
    }
    if facts.grpc {
        return grpc_methods.iter().any(|method| method.as_bytes() == facts.path);
    }
    IDEMPOTENT.contains(&facts.method)
}

/// Whether `x-envoy-attempt-count` or `grpc-previous-rpc-attempts` say that a proxy or client before us already retries.
/// What cannot be read says nothing.
#[must_use]
pub fn is_retry<'a>(
    attempt_counts: impl IntoIterator<Item = &'a [u8]>,
    previous_attempts: impl IntoIterator<Item = &'a [u8]>,
) -> bool {
    attempt_counts.into_iter().any(|value| number(value).is_some_and(|n| n > 1))
        || previous_attempts.into_iter().any(|value| number(value).is_some_and(|n| n > 0))
}

/// A number that does not fit is a large one.
#[must_use]
pub fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(std::str::from_utf8(digits).ok()?.parse().unwrap_or(u64::MAX))
}

/// Codes that gRPC clients and Envoy's own conditions retry: cancelled, deadline exceeded, resource exhausted, internal,
/// unavailable.
const GRPC_RETRYABLE: [u64; 5] = [1, 4, 8, 13, 14];

/// Whether a final answer counts as a success: one that nobody would retry. A 404 is one, a 429 or a 503 is not.
#[must_use]
pub fn is_success(status: Option<u64>, grpc_status: Option<u64>) -> bool {
    let http = status.is_some_and(|status| (100..500).contains(&status) && status != 429);
    http && grpc_status.is_none_or(|code| !GRPC_RETRYABLE.contains(&code))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(method: &'static str) -> Facts<'static> {
        Facts {
            method: method.as_bytes(),
            path: b"/a.B/C",
            grpc: false,
            idempotency_key: false,
            tunnel: false,
        }
    }

    #[test]
    fn only_what_can_be_repeated_without_harm_is() {
        for (method, safe) in [
            ("GET", true),
            ("HEAD", true),
            ("PUT", true),
            ("DELETE", true),
            ("QUERY", true),
            ("POST", false),
            ("PATCH", false),
            ("get", false),
            ("", false),
        ] {
            assert_eq!(may_be_repeated(&facts(method), true, &[]), safe, "{method}");
            assert!(may_be_repeated(&facts(method), false, &[]));
        }
        assert!(may_be_repeated(&Facts { idempotency_key: true, ..facts("POST") }, true, &[]));
        assert!(!may_be_repeated(&Facts { tunnel: true, ..facts("GET") }, false, &[]));
        let grpc = Facts { grpc: true, ..facts("POST") };
        assert!(!may_be_repeated(&grpc, true, &["/a.B/D".into()]));
        assert!(may_be_repeated(&grpc, true, &["/a.B/C".into()]));
    }

    #[test]
    fn a_retry_is_known_by_either_header() {
        let retry = |attempts: &'static [u8], previous: &'static [u8]| is_retry([attempts], [previous]);
        assert!(!retry(b"1", b"0"));
        assert!(retry(b"2", b""));
        assert!(retry(b"", b"1"));
        assert!(retry(b"99999999999999999999999", b""));
        assert!(!retry(b"-2", b"+1"));
        assert!(!retry(b"\xff", b"1.5"));
        assert!(is_retry([&b"1"[..], b"3"], []), "any of several values");
    }

    #[test]
    fn a_success_is_what_nobody_would_retry() {
        for (status, grpc, success) in [
            (Some(200), None, true),
            (Some(404), None, true),
            (Some(429), None, false),
            (Some(500), None, false),
            (Some(0), None, false),
            (None, None, false),
            (Some(200), Some(0), true),
            (Some(200), Some(5), true),
            (Some(200), Some(14), false),
        ] {
            assert_eq!(is_success(status, grpc), success, "{status:?} {grpc:?}");
        }
    }
}
