//! The closed list of what can be told of a request, under OpenTelemetry's names where it has one (semantic conventions, "HTTP spans";
//! "Network", "URL"), under `envoy.` and `l7.` where it has none.

macro_rules! attributes {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        /// What can be told of a request: the attributes of a span, and the fields of an access log.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Attribute {
            $($(#[$doc])* $name,)*
        }

        impl Attribute {
            /// In the order in which they stand in spans and lines.
            pub const ALL: &'static [Attribute] = &[$(Attribute::$name),*];

            /// As configurations and spans spell it.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Attribute::$name => $text,)*
                }
            }
        }
    };
}

attributes! {
    /// One of RFC 9110, PATCH, QUERY or `_OTHER`.
    Method = "http.request.method";
    /// As it was sent, where it is `_OTHER`.
    MethodOriginal = "http.request.method_original";
    Status = "http.response.status_code";
    Route = "http.route";
    ErrorType = "error.type";
    /// Without the query.
    Path = "url.path";
    /// Never without being asked for: queries hold secrets.
    Query = "url.query";
    Scheme = "url.scheme";
    /// `:authority` without its port.
    ServerAddress = "server.address";
    ServerPort = "server.port";
    ClientAddress = "client.address";
    /// `1.1`, `2`.
    ProtocolVersion = "network.protocol.version";
    UserAgent = "user_agent.original";
    RequestBodySize = "http.request.body.size";
    ResponseBodySize = "http.response.body.size";
    GrpcStatus = "rpc.grpc.status_code";
    /// Of an attempt that is not the first.
    ResendCount = "http.request.resend_count";
    /// Of the upstream that answered.
    PeerAddress = "network.peer.address";
    PeerPort = "network.peer.port";
    /// Tries made at the upstream.
    Attempts = "envoy.attempts";
    Cluster = "envoy.cluster";
    CodeDetails = "envoy.response_code_details";
    /// Bits of Envoy's.
    ResponseFlags = "envoy.response_flags";
    RequestId = "envoy.request_id";
    /// The span was kept although the trace is not sampled.
    Tail = "l7.tail";
    TraceId = "trace_id";
    SpanId = "span_id";
    ParentId = "parent_span_id";
    Sampled = "sampled";
    /// Nanoseconds since the epoch.
    Start = "start_time_unix_nano";
    DurationMs = "duration_ms";
}

impl Attribute {
    pub fn named(name: &str) -> Option<Attribute> {
        Self::ALL.iter().copied().find(|attribute| attribute.name() == name)
    }

    /// Whether a span has it as an attribute: identity and times have places of their own there, and a query is only told where a
    /// line of the access log asks for it.
    pub const fn is_of_spans(self) -> bool {
        use Attribute::{DurationMs, ParentId, Query, Sampled, SpanId, Start, TraceId};
        !matches!(self, Query | TraceId | SpanId | ParentId | Sampled | Start | DurationMs)
    }
}

/// A value of one attribute.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// Bytes as they came, UTF-8 or not, of any length.
    Text(&'a [u8]),
    Int(i64),
    Bool(bool),
    /// Milliseconds, in thousandths.
    Millis(u64),
    /// Written as hexadecimal digits.
    Id(&'a [u8]),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attribute_is_found_by_its_name_and_by_no_other() {
        for attribute in Attribute::ALL {
            assert_eq!(Attribute::named(attribute.name()), Some(*attribute));
        }
        assert_eq!(["", "authorization", "url.Path"].map(Attribute::named), [None; 3]);
    }
}
