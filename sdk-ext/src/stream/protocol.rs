//! Errors in the protocol that a client speaks: a problem document, gRPC's status, or an error of Connect.

use super::reply::{GrpcCode, JsonText, Reply};
use crate::headers::{HeaderBlock, Name, Only};
use crate::name;

/// What a client speaks, as its request says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    #[default]
    Http,
    /// What Envoy itself takes for gRPC, and answers as such.
    Grpc,
    /// gRPC-Web that no filter in front has translated.
    GrpcWeb { text: bool },
    /// A call of Connect with one message each way, or its form of a `GET`.
    Connect,
    /// A call of Connect that streams.
    ConnectStream { json: bool },
}

impl Protocol {
    /// From `content-type`, `connect-protocol-version` and, for a `GET`, the query. JSON is Connect's only with its version, which
    /// clients of Connect send; without it nobody can tell. No hostcall.
    #[must_use]
    pub fn of(request: &HeaderBlock) -> Protocol {
        let one = |name: Name| match request.only(name) {
            Only::One(value) => value,
            Only::Missing | Only::Many => b"",
        };
        let content_type = one(name!("content-type"));
        // As Envoy has it: to the letter, and with nothing but a `+` behind.
        if matches!(content_type.strip_prefix(b"application/grpc"), Some([] | [b'+', ..])) {
            return Protocol::Grpc;
        }
        if content_type.is_empty() {
            let connect = request.method() == b"GET" && asks_of_connect(request.path());
            return if connect { Protocol::Connect } else { Protocol::Http };
        }
        let media_type = content_type.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        let media_type = media_type.to_ascii_lowercase();
        let connect = one(name!("connect-protocol-version")) == b"1";
        match media_type.strip_prefix(b"application/").unwrap_or_default() {
            b"grpc-web" | b"grpc-web+proto" | b"grpc-web+json" => Protocol::GrpcWeb { text: false },
            b"grpc-web-text" | b"grpc-web-text+proto" => Protocol::GrpcWeb { text: true },
            b"connect+json" => Protocol::ConnectStream { json: true },
            codec if codec.starts_with(b"connect+") => Protocol::ConnectStream { json: false },
            b"proto" | b"json" if connect => Protocol::Connect,
            _ if request.method() == b"GET" && asks_of_connect(request.path()) => Protocol::Connect,
            _ => Protocol::Http,
        }
    }
}

/// `?connect=v1` among the parameters of a path.
fn asks_of_connect(path: &[u8]) -> bool {
    let query = path.splitn(2, |byte| *byte == b'?').nth(1).unwrap_or_default();
    query.split(|byte| *byte == b'&').any(|parameter| parameter == b"connect=v1")
}

impl GrpcCode {
    /// What an HTTP status stands for (`grpc/grpc`, `doc/http-grpc-status-mapping.md`): Envoy, gRPC and Connect agree.
    #[must_use]
    pub fn of_http(status: u16) -> GrpcCode {
        match status {
            400 => GrpcCode::Internal,
            401 => GrpcCode::Unauthenticated,
            403 => GrpcCode::PermissionDenied,
            404 => GrpcCode::Unimplemented,
            429 | 502..=504 => GrpcCode::Unavailable,
            _ => GrpcCode::Unknown,
        }
    }

    /// Connect's name of it, and the HTTP status of an answer that has it.
    fn in_connect(self) -> (&'static str, u16) {
        match self {
            GrpcCode::Cancelled => ("canceled", 499),
            // There is no error of success.
            GrpcCode::Ok | GrpcCode::Unknown => ("unknown", 500),
            GrpcCode::InvalidArgument => ("invalid_argument", 400),
            GrpcCode::DeadlineExceeded => ("deadline_exceeded", 504),
            GrpcCode::NotFound => ("not_found", 404),
            GrpcCode::AlreadyExists => ("already_exists", 409),
            GrpcCode::PermissionDenied => ("permission_denied", 403),
            GrpcCode::ResourceExhausted => ("resource_exhausted", 429),
            GrpcCode::FailedPrecondition => ("failed_precondition", 400),
            GrpcCode::Aborted => ("aborted", 409),
            GrpcCode::OutOfRange => ("out_of_range", 400),
            GrpcCode::Unimplemented => ("unimplemented", 501),
            GrpcCode::Internal => ("internal", 500),
            GrpcCode::Unavailable => ("unavailable", 503),
            GrpcCode::DataLoss => ("data_loss", 500),
            GrpcCode::Unauthenticated => ("unauthenticated", 401),
        }
    }
}

impl Reply {
    /// Tells a client in its own protocol what is wrong: a [problem](Reply::json_problem) in HTTP, `grpc-status` and `grpc-message` in
    /// gRPC, an error document or an end of the stream in Connect. Its code is that of [`grpc`](Reply::grpc), which is to be called
    /// before, or else the one that the HTTP status stands for. The HTTP status of gRPC and of streams is 200, and Connect has one for
    /// each code.
    pub fn explain(self, client: Protocol, message: &str) -> Reply {
        let code = self.grpc_code().unwrap_or(GrpcCode::of_http(self.status()));
        let (name, status) = code.in_connect();
        match client {
            Protocol::Http => self.json_problem(message),
            Protocol::Grpc => self.grpc(code).body(message.as_bytes().to_vec()),
            Protocol::GrpcWeb { text } => {
                let content_type = match text {
                    true => "application/grpc-web-text+proto",
                    false => "application/grpc-web+proto",
                };
                let mut trailers = format!("grpc-status: {}\r\ngrpc-message: ", code as u32).into_bytes();
                trailers.extend_from_slice(&percent_encoded(message));
                trailers.extend_from_slice(b"\r\n");
                let body = enveloped(0x80, &trailers);
                // In the body and not as headers: Envoy takes the content type from an answer without a body.
                self.with_status(200).header(name!("content-type"), content_type).body(if text {
                    base64(&body)
                } else {
                    body
                })
            }
            Protocol::Connect => {
                let document = format!("{{\"code\":\"{name}\",\"message\":\"{}\"}}", JsonText(message));
                // A status that stands for the code is the filter's own.
                let status =
                    if self.grpc_code().is_some() || self.status() < 400 { status } else { self.status() };
                self.with_status(status)
                    .header(name!("content-type"), "application/json")
                    .body(document.into_bytes())
            }
            Protocol::ConnectStream { json } => {
                let content_type = match json {
                    true => "application/connect+json",
                    false => "application/connect+proto",
                };
                let end =
                    format!("{{\"error\":{{\"code\":\"{name}\",\"message\":\"{}\"}}}}", JsonText(message));
                self.with_status(200)
                    .header(name!("content-type"), content_type)
                    .body(enveloped(2, end.as_bytes()))
            }
        }
    }
}

/// With the flag of a stream's end, and its length.
fn enveloped(flag: u8, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes();
    [&[flag], &length[..], message].concat()
}

fn base64(bytes: &[u8]) -> Vec<u8> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digit = |bits: u32| DIGITS.get((bits & 63) as usize).copied().unwrap_or_default();
    let mut encoded = Vec::with_capacity(bytes.len().div_ceil(3).saturating_mul(4));
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or_default());
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        encoded.extend_from_slice(&[digit(bits >> 18), digit(bits >> 12)]);
        encoded.push(if chunk.len() > 1 { digit(bits >> 6) } else { b'=' });
        encoded.push(if chunk.len() > 2 { digit(bits) } else { b'=' });
    }
    encoded
}

/// `grpc-message` (`grpc/grpc`, `doc/PROTOCOL-HTTP2.md`): what is no printable ASCII, and `%`, as `%XX`.
fn percent_encoded(message: &str) -> Vec<u8> {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble & 0xf)).copied().unwrap_or_default();
    let mut encoded = Vec::with_capacity(message.len());
    for byte in message.bytes() {
        match byte {
            b'%' | ..=0x1f | 0x7f.. => encoded.extend_from_slice(&[b'%', digit(byte >> 4), digit(byte)]),
            byte => encoded.push(byte),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spoken(headers: &[(&str, &str)]) -> Protocol {
        Protocol::of(&HeaderBlock::from_pairs(headers.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes()))))
    }

    #[test]
    fn a_client_speaks_what_its_request_says() {
        let web = |text| Protocol::GrpcWeb { text };
        for (content_type, protocol) in [
            ("application/grpc", Protocol::Grpc),
            ("application/grpc+proto", Protocol::Grpc),
            ("application/grpc+json; charset=utf-8", Protocol::Grpc),
            ("application/grpc;charset=utf-8", Protocol::Http),
            ("Application/gRPC", Protocol::Http),
            ("application/grpcx", Protocol::Http),
            ("application/grpc-web", web(false)),
            ("application/grpc-web+proto", web(false)),
            ("application/grpc-web-text; charset=utf-8", web(true)),
            ("application/connect+proto", Protocol::ConnectStream { json: false }),
            ("Application/Connect+JSON", Protocol::ConnectStream { json: true }),
            ("application/proto", Protocol::Http),
            ("application/json", Protocol::Http),
            ("text/html", Protocol::Http),
        ] {
            assert_eq!(spoken(&[("content-type", content_type)]), protocol, "{content_type}");
        }
        let version = ("connect-protocol-version", "1");
        for content_type in ["application/proto", "application/json; charset=utf-8"] {
            assert_eq!(
                spoken(&[("content-type", content_type), version]),
                Protocol::Connect,
                "{content_type}"
            );
        }
        assert_eq!(spoken(&[("content-type", "text/html"), version]), Protocol::Http);
        // Two of them are none of Envoy's.
        assert_eq!(
            spoken(&[("content-type", "application/grpc"), ("content-type", "application/grpc")]),
            Protocol::Http
        );
        let get = |path| spoken(&[(":method", "GET"), (":path", path)]);
        assert_eq!(get("/pkg.Greeter/Hello?connect=v1&encoding=json&message=%7B%7D"), Protocol::Connect);
        assert_eq!(get("/pkg.Greeter/Hello?encoding=json&connect=v1"), Protocol::Connect);
        for path in ["/connect=v1", "/?connect=v2", "/?xconnect=v1", "/"] {
            assert_eq!(get(path), Protocol::Http, "{path}");
        }
        assert_eq!(spoken(&[(":method", "POST"), (":path", "/?connect=v1")]), Protocol::Http);
    }

    /// The table of the protocol's reference, "Error codes".
    #[test]
    fn a_code_has_connects_name_and_status() {
        let table = [
            (1, "canceled", 499),
            (2, "unknown", 500),
            (3, "invalid_argument", 400),
            (4, "deadline_exceeded", 504),
            (5, "not_found", 404),
            (6, "already_exists", 409),
            (7, "permission_denied", 403),
            (8, "resource_exhausted", 429),
            (9, "failed_precondition", 400),
            (10, "aborted", 409),
            (11, "out_of_range", 400),
            (12, "unimplemented", 501),
            (13, "internal", 500),
            (14, "unavailable", 503),
            (15, "data_loss", 500),
            (16, "unauthenticated", 401),
        ];
        for (number, name, status) in table {
            let code = GrpcCode::of(number).unwrap();
            assert_eq!((code as u32, code.in_connect()), (number, (name, status)));
            let reply = Reply::new(418, "x").grpc(code).explain(Protocol::Connect, "a \"b\"");
            assert_eq!(reply.status(), status);
            let body: serde_json::Value = serde_json::from_slice(reply.body_bytes()).unwrap();
            assert_eq!(body, serde_json::json!({ "code": name, "message": "a \"b\"" }));
        }
    }

    /// `doc/http-grpc-status-mapping.md`, and the reference's "HTTP to Error Code".
    #[test]
    fn a_status_of_http_stands_for_a_code() {
        for status in 100..600 {
            let code = match status {
                400 => 13,
                401 => 16,
                403 => 7,
                404 => 12,
                429 | 502 | 503 | 504 => 14,
                _ => 2,
            };
            assert_eq!(GrpcCode::of_http(status) as u32, code, "{status}");
        }
    }

    #[test]
    fn without_a_code_connect_has_the_filters_status() {
        let status = |status| Reply::new(status, "x").explain(Protocol::Connect, "m").status();
        assert_eq!((status(404), status(413), status(302)), (404, 413, 500));
    }

    #[test]
    fn a_stream_of_connect_ends_in_an_envelope_with_the_error() {
        let reply = Reply::new(503, "x").explain(Protocol::ConnectStream { json: false }, "away");
        assert_eq!(reply.status(), 200);
        let document = br#"{"error":{"code":"unavailable","message":"away"}}"#;
        let expected = [&[2, 0, 0, 0, document.len() as u8][..], document].concat();
        assert_eq!(reply.body_bytes(), expected);
        let content_type = reply.headers().next().map(|(_, value)| value.to_vec());
        assert_eq!(content_type.as_deref(), Some(&b"application/connect+proto"[..]));
    }

    #[test]
    fn grpc_web_ends_in_a_frame_of_trailers() {
        let reply = |text| Reply::new(403, "x").explain(Protocol::GrpcWeb { text }, "no%");
        let frame = b"\x80\0\0\0\x25grpc-status: 7\r\ngrpc-message: no%25\r\n";
        assert_eq!((reply(false).status(), reply(false).body_bytes()), (200, &frame[..]));
        assert_eq!(reply(true).body_bytes(), base64(frame));
    }

    /// RFC 4648, section 10.
    #[test]
    fn base64_is_padded() {
        for (text, encoded) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(text.as_bytes()), encoded.as_bytes());
        }
        assert_eq!(base64(&[0xfb, 0xff]), b"+/8=");
    }

    #[test]
    fn a_message_is_percent_encoded_in_grpc_web() {
        for (message, encoded) in [("no way", "no way"), ("100%\n", "100%25%0A"), ("ü~\u{7f}", "%C3%BC~%7F")]
        {
            assert_eq!(percent_encoded(message), encoded.as_bytes());
        }
    }
}
