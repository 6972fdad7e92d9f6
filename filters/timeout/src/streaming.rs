//! Streams that may live longer than any `timeout`: which requests are one for certain, and which only say so.

use wayside_sdk::{HeaderBlock, Name, name};

const ACCEPT: Name = name!("accept");

/// What the operator names as streams.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Streaming {
    /// In lower case.
    pub content_types: Vec<String>,
    /// `/package.Service/Method`
    pub grpc_methods: Vec<String>,
}

/// Whether `timeout` is for the whole of this request. A client can ask for a stream whatever it is that it asks: only what is
/// answered lifts the limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lasts {
    #[default]
    No,
    /// A method that the operator listed.
    Certainly,
    /// If the answer has one of the content types.
    IfAnswered,
    /// If the answer is 101.
    IfUpgraded,
    /// If the answer is 2xx: a tunnel (`CONNECT`).
    IfConnected,
}

impl Lasts {
    /// `grpc`: the request speaks gRPC, gRPC-Web or a streaming Connect.
    #[must_use]
    pub fn of(streaming: &Streaming, request: &HeaderBlock, grpc: bool) -> Lasts {
        if request.method() == b"CONNECT" {
            return Lasts::IfConnected;
        }
        if request.first(name!("upgrade")).is_some() {
            return Lasts::IfUpgraded;
        }
        let is_listed = |path: &[u8]| streaming.grpc_methods.iter().any(|method| method.as_bytes() == path);
        if grpc && is_listed(request.path()) {
            return Lasts::Certainly;
        }
        let shortest = streaming.content_types.iter().map(String::len).min().unwrap_or(usize::MAX);
        let mut long = request.all(ACCEPT).filter(|accept| accept.len() >= shortest);
        if long.any(|accept| accept.split(|byte| *byte == b',').any(|range| streaming.has(range))) {
            return Lasts::IfAnswered;
        }
        Lasts::No
    }

    /// Whether the answer decides.
    #[must_use]
    pub fn is_open(self) -> bool {
        matches!(self, Lasts::IfAnswered | Lasts::IfUpgraded | Lasts::IfConnected)
    }

    #[must_use]
    pub fn confirmed(self, streaming: &Streaming, status: u16, content_type: &[u8]) -> bool {
        match self {
            Lasts::No => false,
            Lasts::Certainly => true,
            Lasts::IfAnswered => status == 200 && streaming.has(content_type),
            Lasts::IfUpgraded => status == 101,
            Lasts::IfConnected => (200..300).contains(&status),
        }
    }
}

impl Streaming {
    /// Whether a media type, with or without parameters, is one of these.
    fn has(&self, media_type: &[u8]) -> bool {
        let essence = media_type.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        self.content_types.iter().any(|listed| listed.as_bytes().eq_ignore_ascii_case(essence))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn streaming() -> Streaming {
        Streaming {
            content_types: vec!["text/event-stream".to_owned()],
            grpc_methods: vec!["/a.Chat/Talk".to_owned()],
        }
    }

    fn lasts(headers: &[(&str, &str)], grpc: bool) -> Lasts {
        let block = HeaderBlock::from_pairs(headers.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes())));
        Lasts::of(&streaming(), &block, grpc)
    }

    #[test]
    fn a_request_is_a_stream_for_certain_only_by_the_operators_word() {
        assert_eq!(lasts(&[(":path", "/a.Chat/Talk")], true), Lasts::Certainly);
        for (path, grpc) in [("/a.Chat/Talk", false), ("/a.Chat/Talk2", true), ("/a.Chat/Talk?x", true)] {
            assert_eq!(lasts(&[(":path", path)], grpc), Lasts::No, "{path} {grpc}");
        }
        assert_eq!(lasts(&[(":method", "CONNECT")], false), Lasts::IfConnected);
        assert_eq!(lasts(&[("upgrade", "websocket")], false), Lasts::IfUpgraded);
        for accept in ["text/event-stream", "text/html, Text/Event-Stream;q=0.9"] {
            assert_eq!(lasts(&[("accept", accept)], false), Lasts::IfAnswered, "{accept}");
        }
        for accept in ["*/*", "text/*", "text/event-streams", "x text/event-stream", ""] {
            assert_eq!(lasts(&[("accept", accept)], false), Lasts::No, "{accept}");
        }
    }

    #[test]
    fn what_a_client_only_asks_for_is_a_stream_when_it_is_answered_as_one() {
        let confirmed = |lasts: Lasts, status, content_type: &str| {
            lasts.confirmed(&streaming(), status, content_type.as_bytes())
        };
        for (lasts, status, content_type, is) in [
            (Lasts::IfAnswered, 200, "text/event-stream", true),
            (Lasts::IfAnswered, 200, "text/event-stream; charset=utf-8", true),
            (Lasts::IfAnswered, 200, "application/json", false),
            (Lasts::IfAnswered, 500, "text/event-stream", false),
            (Lasts::IfUpgraded, 101, "", true),
            (Lasts::IfUpgraded, 200, "text/event-stream", false),
            (Lasts::IfConnected, 200, "", true),
            (Lasts::IfConnected, 403, "", false),
            (Lasts::Certainly, 200, "application/grpc", true),
            (Lasts::No, 200, "text/event-stream", false),
        ] {
            assert_eq!(confirmed(lasts, status, content_type), is, "{lasts:?} {status} {content_type}");
        }
    }
}
