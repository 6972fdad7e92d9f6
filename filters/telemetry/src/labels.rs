//! Label values of the HTTP metrics: OpenTelemetry's semantic conventions, with nothing in them that a client can choose
//! freely.

/// The method if it is one of RFC 9110, PATCH or QUERY.
pub fn method(method: &[u8]) -> &'static str {
    match method {
        b"GET" => "GET",
        b"HEAD" => "HEAD",
        b"POST" => "POST",
        b"PUT" => "PUT",
        b"DELETE" => "DELETE",
        b"CONNECT" => "CONNECT",
        b"OPTIONS" => "OPTIONS",
        b"TRACE" => "TRACE",
        b"PATCH" => "PATCH",
        b"QUERY" => "QUERY",
        _ => "_OTHER",
    }
}

pub fn scheme(scheme: &[u8]) -> &'static str {
    match scheme {
        b"http" => "http",
        b"https" => "https",
        _ => "_OTHER",
    }
}

/// Envoy's `request.protocol` as OpenTelemetry writes versions; empty when the stream had none.
pub fn protocol_version(protocol: &[u8]) -> &'static str {
    match protocol {
        b"HTTP/1.0" => "1.0",
        b"HTTP/1.1" => "1.1",
        b"HTTP/2" => "2",
        b"HTTP/3" => "3",
        b"" => "",
        _ => "_OTHER",
    }
}

/// A gRPC status as its number; `_OTHER` for numbers gRPC does not have.
pub fn grpc_status(status: u64) -> &'static str {
    const NUMBERS: [&str; 17] =
        ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16"];
    usize::try_from(status).ok().and_then(|status| NUMBERS.get(status)).copied().unwrap_or("_OTHER")
}

/// Whether a gRPC status is the server's fault: semantic conventions, "gRPC", "Server spans".
pub const fn is_fault_of_server(status: u64) -> bool {
    matches!(status, 2 | 4 | 12..=15)
}

/// A response status as a label: three digits without an allocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusLabel([u8; 3]);

impl StatusLabel {
    /// `None` outside 100 to 999, which is no HTTP status.
    pub fn new(status: u64) -> Option<Self> {
        let status = u16::try_from(status).ok().filter(|status| (100..1000).contains(status))?;
        let digit = |value: u16| u8::try_from(value % 10).map_or(b'0', |digit| b'0'.saturating_add(digit));
        Some(Self([digit(status / 100), digit(status / 10), digit(status)]))
    }

    /// `:status` as sent.
    pub fn read(digits: &[u8]) -> Option<Self> {
        let digits: [u8; 3] = digits.try_into().ok()?;
        let right = digits.iter().all(u8::is_ascii_digit) && !digits.starts_with(b"0");
        right.then_some(Self(digits))
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// 4xx and 5xx: to whoever asked, both are failures.
    pub fn is_error(self) -> bool {
        self.class() >= b'4'
    }

    pub fn number(self) -> u16 {
        let digits = self.0.into_iter().map(|digit| u16::from(digit & 0x0F));
        digits.fold(0, |number, digit| number.saturating_mul(10).saturating_add(digit))
    }

    fn class(self) -> u8 {
        let [class, ..] = self.0;
        class
    }
}

/// Why a request counts as failed: empty when it does not, the status for 5xx, else one of a fixed list of names. `details`
/// is Envoy's `response.code_details`, `grpc_status` that of a gRPC request.
pub fn error_type<'a>(status: Option<&'a StatusLabel>, details: &[u8], grpc_status: Option<u64>) -> &'a [u8] {
    let Some(status) = status else {
        return failure(details).unwrap_or(b"_OTHER");
    };
    if status.class() >= b'5' {
        return status.as_bytes();
    }
    if let Some(failure) = failure(details) {
        return failure;
    }
    // A filter or Envoy itself said no; to gRPC it says so with a 200. Redirects and direct answers are no failures.
    let refused = status.class() == b'4' || grpc_status.is_some_and(|status| status != 0);
    let local = !details.is_empty() && details != b"via_upstream";
    if refused && local { b"local_reply" } else { b"" }
}

/// Whether a request broke off, on either side, by Envoy's `response.code_details`.
pub fn is_reset(details: &[u8]) -> bool {
    matches!(failure(details), Some(b"upstream_reset" | b"downstream_reset" | b"connect_failure"))
}

/// Envoy's details are a name, sometimes followed by `{…}` or `(…)`.
fn failure(details: &[u8]) -> Option<&'static [u8]> {
    let end = details.iter().position(|byte| matches!(byte, b'{' | b'(')).unwrap_or(details.len());
    let (name, more) = details.split_at_checked(end)?;
    match name {
        b"upstream_response_timeout"
        | b"upstream_per_try_timeout"
        | b"upstream_per_try_idle_timeout"
        | b"upstream_max_stream_duration_reached"
        | b"response_timeout"
        | b"request_overall_timeout"
        | b"request_header_timeout"
        | b"stream_idle_timeout"
        | b"max_duration_timeout"
        | b"duration_timeout" => Some(b"timeout"),
        b"no_healthy_upstream" => Some(b"no_healthy_upstream"),
        b"downstream_remote_disconnect" | b"downstream_local_disconnect" | b"client_disconnected" => {
            Some(b"downstream_reset")
        }
        _ if starts(name, b"upstream_reset_before_response_started")
            && contains(more, b"connection_failure") =>
        {
            Some(b"connect_failure")
        }
        _ if starts(name, b"upstream_reset") => Some(b"upstream_reset"),
        _ if starts(name, b"downstream_")
            || contains(name, b"remote_reset")
            || contains(name, b"remote_refused") =>
        {
            Some(b"downstream_reset")
        }
        _ => None,
    }
}

fn starts(text: &[u8], with: &[u8]) -> bool {
    text.starts_with(with)
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_that_nobody_standardised_are_one_label() {
        assert_eq!(
            [&b"GET"[..], b"QUERY", b"get", b"PROPFIND", b"\xff", b""].map(method),
            ["GET", "QUERY", "_OTHER", "_OTHER", "_OTHER", "_OTHER"]
        );
    }

    #[test]
    fn versions_are_written_as_opentelemetry_does() {
        assert_eq!(
            [&b"HTTP/1.0"[..], b"HTTP/1.1", b"HTTP/2", b"HTTP/3", b"", b"SPDY"].map(protocol_version),
            ["1.0", "1.1", "2", "3", "", "_OTHER"]
        );
    }

    #[test]
    fn a_status_has_three_digits_or_is_none() {
        let text =
            |status: u64| StatusLabel::new(status).map(|label| String::from_utf8(label.0.to_vec()).unwrap());
        assert_eq!(
            [200, 404, 599, 100, 999].map(text),
            ["200", "404", "599", "100", "999"].map(|t| Some(t.to_owned()))
        );
        assert_eq!([0, 99, 1000, u64::MAX].map(text), [None, None, None, None]);
    }

    #[test]
    fn a_refused_grpc_request_failed_although_http_says_200() {
        let ok = StatusLabel::new(200);
        let found = |details: &str, grpc| error_type(ok.as_ref(), details.as_bytes(), Some(grpc)).to_vec();
        assert_eq!(found("header_auth.missing", 16), b"local_reply");
        assert_eq!(found("via_upstream", 5), b"");
        assert_eq!(found("direct_response", 0), b"");
    }

    #[test]
    fn error_types_name_the_status_of_5xx_and_the_cause_of_the_rest() {
        let table: &[(u64, &str, &str)] = &[
            (200, "via_upstream", ""),
            (404, "via_upstream", ""),
            (301, "direct_response", ""),
            (200, "", ""),
            (500, "via_upstream", "500"),
            (504, "upstream_response_timeout", "504"),
            (503, "no_healthy_upstream", "503"),
            (401, "header_auth.missing", "local_reply"),
            (404, "route_not_found", "local_reply"),
            (408, "request_overall_timeout", "timeout"),
            (200, "upstream_reset_after_response_started{remote_reset}", "upstream_reset"),
            (200, "upstream_response_timeout", "timeout"),
            (200, "downstream_remote_disconnect", "downstream_reset"),
            (0, "downstream_remote_disconnect", "downstream_reset"),
            (0, "http2.remote_reset", "downstream_reset"),
            (0, "upstream_reset_before_response_started{connection_termination}", "upstream_reset"),
            (0, "upstream_reset_before_response_started{remote_connection_failure|x}", "connect_failure"),
            (0, "no_healthy_upstream", "no_healthy_upstream"),
            (0, "", "_OTHER"),
            (0, "something_new", "_OTHER"),
        ];
        for (status, details, expected) in table {
            let label = StatusLabel::new(*status);
            let found = error_type(label.as_ref(), details.as_bytes(), None);
            assert_eq!(String::from_utf8_lossy(found), *expected, "{status} {details}");
        }
    }
}
