//! What is known of a request, or of one attempt at it, once it is over. Spans, lines of the access log and exemplars are made of this
//! and of nothing else.

use crate::attribute::{Attribute, Value};
use crate::labels;

/// Whose work a span tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A request that came in, with all attempts at it.
    Server,
    /// One attempt upstream.
    Client,
}

/// Why a request is told of, or is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sampling {
    /// It was decided against: no span.
    Dropped,
    /// By the decision the trace carries.
    Head,
    /// The trace is not sampled; this one was kept for how it ended.
    Tail(TailReason),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TailReason {
    Error,
    Slow,
    Reset,
}

impl Sampling {
    pub const fn is_kept(self) -> bool {
        !matches!(self, Sampling::Dropped)
    }
}

/// Where a span stands in its trace: W3C Trace Context Level 2. No id is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanIds<'a> {
    pub trace_id: [u8; 16],
    pub span_id: [u8; 8],
    /// `None` for a root.
    pub parent_id: Option<[u8; 8]>,
    /// Whether the parent is in another process: a caller, not this filter's own server span.
    pub parent_is_remote: bool,
    /// Trace flags as they were passed on: bit 0 sampled, bit 1 random.
    pub flags: u8,
    /// As it was passed on; empty without one.
    pub tracestate: &'a [u8],
}

/// Another span that led to this one: the trace an untrusted caller brought, or the one of Envoy's own tracer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    pub trace_id: [u8; 16],
    pub span_id: [u8; 8],
    pub flags: u8,
}

/// A finished request. Texts are bytes as they came, of any length, and empty where nothing is known.
#[derive(Clone, Debug)]
pub struct Finished<'a> {
    pub kind: Kind,
    /// `None` where no trace passes: then there is no span, and a line of the access log has no ids.
    pub ids: Option<SpanIds<'a>>,
    pub link: Option<Link>,
    pub sampling: Sampling,
    /// Wall time of the first byte, nanoseconds since the epoch.
    pub start_ns: u64,
    /// `start_ns` and the duration on the monotonic clock: never before it.
    pub end_ns: u64,
    /// One of RFC 9110, PATCH, QUERY or `_OTHER`.
    pub method: &'static str,
    /// As it was sent, where `method` is `_OTHER`.
    pub method_original: &'a [u8],
    /// The rule's name, else Envoy's route name; never the path.
    pub route: &'a [u8],
    /// `None` when the client left before there was one.
    pub status: Option<u16>,
    /// Of gRPC requests only.
    pub grpc_status: Option<u64>,
    /// Empty for a request that did not fail: [`labels::error_type`].
    pub error_type: &'a [u8],
    pub path: &'a [u8],
    /// Without the `?`.
    pub query: &'a [u8],
    pub scheme: &'static str,
    /// With the port if one was sent.
    pub authority: &'a [u8],
    /// `10.0.0.1:4711`, of the downstream peer.
    pub client: &'a [u8],
    /// `10.0.0.1:80`, of the upstream host.
    pub peer: &'a [u8],
    /// `HTTP/1.1`.
    pub protocol: &'a [u8],
    pub user_agent: &'a [u8],
    pub request_id: &'a [u8],
    pub cluster: &'a [u8],
    pub code_details: &'a [u8],
    pub response_flags: Option<u64>,
    pub request_size: Option<u64>,
    pub response_size: Option<u64>,
    /// Of a [`Kind::Server`]: tries made. Of a [`Kind::Client`]: which try this was, from 1.
    pub attempts: Option<u64>,
    /// Headers that the configuration allows to be told, in its order; every line of each.
    pub headers: &'a [Captured<'a>],
}

/// One line of a header that the configuration names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Captured<'a> {
    pub of: Message,
    /// In lower case.
    pub name: &'a [u8],
    pub value: &'a [u8],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message {
    Request,
    Response,
}

impl Finished<'_> {
    /// One of which nothing is known.
    pub const fn unknown(kind: Kind) -> Finished<'static> {
        Finished {
            kind,
            ids: None,
            link: None,
            sampling: Sampling::Dropped,
            start_ns: 0,
            end_ns: 0,
            method: "_OTHER",
            method_original: b"",
            route: b"",
            status: None,
            grpc_status: None,
            error_type: b"",
            path: b"",
            query: b"",
            scheme: "",
            authority: b"",
            client: b"",
            peer: b"",
            protocol: b"",
            user_agent: b"",
            request_id: b"",
            cluster: b"",
            code_details: b"",
            response_flags: None,
            request_size: None,
            response_size: None,
            attempts: None,
            headers: &[],
        }
    }

    /// Nanoseconds.
    pub const fn duration_ns(&self) -> u64 {
        self.end_ns.saturating_sub(self.start_ns)
    }

    /// A span's name: `GET book`, or the method alone (semantic conventions, "HTTP spans", "Name"). `_OTHER` is `HTTP` there.
    pub fn name(&self) -> Vec<u8> {
        let method = if self.method == "_OTHER" { "HTTP" } else { self.method };
        match self.route {
            [] => method.as_bytes().to_vec(),
            route => [method.as_bytes(), b" ", route].concat(),
        }
    }

    /// Whether the span's status is `Error`. For a server that is a 5xx, a gRPC status that is the server's fault, or no answer; for an
    /// attempt a 4xx too, and any gRPC status but 0. Otherwise it is unset.
    pub fn is_error(&self) -> bool {
        match (self.kind, self.status) {
            (_, None) => true,
            (Kind::Server, Some(status)) => {
                status >= 500 || self.grpc_status.is_some_and(labels::is_fault_of_server)
            }
            (Kind::Client, Some(status)) => {
                status >= 400 || self.grpc_status.is_some_and(|status| status != 0)
            }
        }
    }

    /// The value of one attribute; `None` where this request has none.
    pub fn value(&self, attribute: Attribute) -> Option<Value<'_>> {
        let text = |text| Some(text).filter(|text: &&[u8]| !text.is_empty()).map(Value::Text);
        let number = |number: Option<u64>| Some(Value::Int(i64::try_from(number?).unwrap_or(i64::MAX)));
        match attribute {
            Attribute::Method => text(self.method.as_bytes()),
            Attribute::MethodOriginal => text(self.method_original),
            Attribute::Status => number(self.status.map(u64::from)),
            Attribute::Route => text(self.route),
            Attribute::ErrorType => text(self.error_type),
            Attribute::Path => text(self.path),
            Attribute::Query => text(self.query),
            Attribute::Scheme => text(self.scheme.as_bytes()),
            Attribute::ServerAddress => text(host_and_port(self.authority).0),
            Attribute::ServerPort => number(host_and_port(self.authority).1),
            Attribute::ClientAddress => text(host_and_port(self.client).0),
            Attribute::ProtocolVersion => text(labels::protocol_version(self.protocol).as_bytes()),
            Attribute::UserAgent => text(self.user_agent),
            Attribute::RequestBodySize => number(self.request_size),
            Attribute::ResponseBodySize => number(self.response_size),
            Attribute::GrpcStatus => number(self.grpc_status),
            Attribute::ResendCount => number(self.resends()),
            Attribute::PeerAddress => text(host_and_port(self.peer).0),
            Attribute::PeerPort => number(host_and_port(self.peer).1),
            Attribute::Attempts => number(self.attempts.filter(|_| self.kind == Kind::Server)),
            Attribute::Cluster => text(self.cluster),
            Attribute::CodeDetails => text(self.code_details),
            Attribute::ResponseFlags => number(self.response_flags),
            Attribute::RequestId => text(self.request_id),
            Attribute::Tail => matches!(self.sampling, Sampling::Tail(_)).then_some(Value::Bool(true)),
            Attribute::TraceId => self.ids.as_ref().map(|ids| Value::Id(&ids.trace_id)),
            Attribute::SpanId => self.ids.as_ref().map(|ids| Value::Id(&ids.span_id)),
            Attribute::ParentId => Some(Value::Id(self.ids.as_ref()?.parent_id.as_ref()?)),
            Attribute::Sampled => Some(Value::Bool(self.sampling.is_kept())),
            Attribute::Start => number(Some(self.start_ns)),
            Attribute::DurationMs => Some(Value::Millis(millis(self.duration_ns()))),
        }
    }

    fn resends(&self) -> Option<u64> {
        self.attempts.filter(|attempt| self.kind == Kind::Client && *attempt > 1)?.checked_sub(1)
    }
}

/// In thousandths: more digits than that are noise.
fn millis(nanos: u64) -> u64 {
    nanos.checked_div(1000).unwrap_or(0)
}

/// `shop.example:8080`, `[::1]:80`, `shop.example`; brackets go.
fn host_and_port(authority: &[u8]) -> (&[u8], Option<u64>) {
    if let Some(inside) = authority.strip_prefix(b"[") {
        let end = inside.iter().position(|byte| *byte == b']').unwrap_or(inside.len());
        let (host, rest) = inside.split_at_checked(end).unwrap_or((inside, b""));
        return (host, rest.strip_prefix(b"]:").and_then(port));
    }
    match authority.iter().rposition(|byte| *byte == b':') {
        Some(colon) => match authority.split_at_checked(colon) {
            Some((host, rest)) => match rest.strip_prefix(b":").and_then(port) {
                Some(port) => (host, Some(port)),
                None => (authority, None),
            },
            None => (authority, None),
        },
        None => (authority, None),
    }
}

fn port(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok()?.parse::<u16>().ok().map(u64::from)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A request as plain as they come.
    pub(crate) const PLAIN: Finished<'static> = Finished {
        kind: Kind::Server,
        ids: Some(SpanIds {
            trace_id: [1; 16],
            span_id: [2; 8],
            parent_id: Some([3; 8]),
            parent_is_remote: true,
            flags: 3,
            tracestate: b"",
        }),
        link: None,
        sampling: Sampling::Head,
        start_ns: 1_700_000_000_000_000_000,
        end_ns: 1_700_000_000_012_345_678,
        method: "GET",
        method_original: b"",
        route: b"book",
        status: Some(200),
        grpc_status: None,
        error_type: b"",
        path: b"/books/1",
        query: b"",
        scheme: "http",
        authority: b"shop.example:8080",
        client: b"10.0.0.1:4711",
        peer: b"[fd00::1]:80",
        protocol: b"HTTP/1.1",
        user_agent: b"",
        request_id: b"",
        cluster: b"books",
        code_details: b"via_upstream",
        response_flags: Some(0),
        request_size: Some(0),
        response_size: Some(5),
        attempts: Some(1),
        headers: &[],
    };

    #[test]
    fn what_a_request_has_is_told_and_nothing_else() {
        let told: Vec<_> = Attribute::ALL
            .iter()
            .filter_map(|attribute| PLAIN.value(*attribute).map(|value| (attribute.name(), value)))
            .collect();
        assert_eq!(
            told,
            [
                ("http.request.method", Value::Text(b"GET")),
                ("http.response.status_code", Value::Int(200)),
                ("http.route", Value::Text(b"book")),
                ("url.path", Value::Text(b"/books/1")),
                ("url.scheme", Value::Text(b"http")),
                ("server.address", Value::Text(b"shop.example")),
                ("server.port", Value::Int(8080)),
                ("client.address", Value::Text(b"10.0.0.1")),
                ("network.protocol.version", Value::Text(b"1.1")),
                ("http.request.body.size", Value::Int(0)),
                ("http.response.body.size", Value::Int(5)),
                ("network.peer.address", Value::Text(b"fd00::1")),
                ("network.peer.port", Value::Int(80)),
                ("envoy.attempts", Value::Int(1)),
                ("envoy.cluster", Value::Text(b"books")),
                ("envoy.response_code_details", Value::Text(b"via_upstream")),
                ("envoy.response_flags", Value::Int(0)),
                ("trace_id", Value::Id(&[1; 16])),
                ("span_id", Value::Id(&[2; 8])),
                ("parent_span_id", Value::Id(&[3; 8])),
                ("sampled", Value::Bool(true)),
                ("start_time_unix_nano", Value::Int(1_700_000_000_000_000_000)),
                ("duration_ms", Value::Millis(12_345)),
            ]
        );
    }

    #[test]
    fn a_span_is_named_by_its_route_and_never_by_its_path() {
        assert_eq!(PLAIN.name(), b"GET book");
        assert_eq!(Finished { route: b"", method: "_OTHER", ..PLAIN }.name(), b"HTTP");
    }

    #[test]
    fn a_server_is_to_blame_for_what_is_its_fault_an_attempt_for_every_failure() {
        let is_error = |kind, status, grpc_status| Finished { kind, status, grpc_status, ..PLAIN }.is_error();
        for (status, grpc, server, client) in [
            (Some(200), None, false, false),
            (Some(404), None, false, true),
            (Some(500), None, true, true),
            (None, None, true, true),
            (Some(200), Some(0), false, false),
            (Some(200), Some(5), false, true),
            (Some(200), Some(14), true, true),
        ] {
            assert_eq!(is_error(Kind::Server, status, grpc), server, "{status:?} {grpc:?}");
            assert_eq!(is_error(Kind::Client, status, grpc), client, "{status:?} {grpc:?}");
        }
    }

    #[test]
    fn only_a_second_attempt_was_sent_again() {
        for (kind, attempts, resends) in
            [(Kind::Client, 3, Some(Value::Int(2))), (Kind::Client, 1, None), (Kind::Server, 3, None)]
        {
            let finished = Finished { kind, attempts: Some(attempts), ..PLAIN };
            assert_eq!(finished.value(Attribute::ResendCount), resends);
        }
    }

    #[test]
    fn an_authority_is_a_host_and_perhaps_a_port() {
        for (authority, host, port) in [
            (&b"shop.example"[..], &b"shop.example"[..], None),
            (b"shop.example:80", b"shop.example", Some(80)),
            (b"[::1]:80", b"::1", Some(80)),
            (b"[::1]", b"::1", None),
            (b"[::1", b"::1", None),
            (b"shop:99999", b"shop:99999", None),
            (b"shop:", b"shop:", None),
            (b"@/run/envoy.sock", b"@/run/envoy.sock", None),
            (b"", b"", None),
        ] {
            assert_eq!(host_and_port(authority), (host, port), "{}", authority.escape_ascii());
        }
    }
}
