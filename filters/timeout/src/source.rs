//! The headers that say how long a request may take, or steer the router's timers: which they are, who may set them and what they
//! say.

use crate::forms::{self, Moment};
use std::time::Duration;
use wayside_sdk::{HeaderBlock, Name, Names, Protocol, Wall, name};

/// Where an allowance came from, or what a control header is counted as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// The operator's `timeout`.
    Rule,
    /// `grpc-timeout` of a gRPC request.
    Grpc,
    /// `connect-timeout-ms` of a request of Connect.
    Connect,
    /// `x-envoy-expected-rq-timeout-ms`: what the Envoy before this one has left.
    Expected,
    /// `x-envoy-upstream-rq-timeout-ms`: what the caller asks Envoy to allow.
    Upstream,
    /// `request-timeout` (draft-loreto-http-timeout-00).
    RequestTimeout,
    /// `x-request-deadline`: a point in time.
    RequestDeadline,
    /// `x-envoy-upstream-rq-per-try-timeout-ms`, which is no deadline.
    PerTry,
    /// What else changes when and how the router gives up.
    Router,
}

pub const GRPC_TIMEOUT: Name = name!("grpc-timeout");
pub const CONNECT_TIMEOUT: Name = name!("connect-timeout-ms");
pub const EXPECTED: Name = name!("x-envoy-expected-rq-timeout-ms");
pub const UPSTREAM: Name = name!("x-envoy-upstream-rq-timeout-ms");
pub const REQUEST_TIMEOUT: Name = name!("request-timeout");
pub const REQUEST_DEADLINE: Name = name!("x-request-deadline");
pub const PER_TRY: Name = name!("x-envoy-upstream-rq-per-try-timeout-ms");

/// Every control header. At an edge Envoy strips its own (`source/common/http/conn_manager_utility.cc`, `cleanInternalHeaders`) and passes
/// the others; where it takes everybody for internal, it strips none.
pub const CONTROLS: [(Source, Name); 10] = [
    (Source::Grpc, GRPC_TIMEOUT),
    (Source::Connect, CONNECT_TIMEOUT),
    (Source::Expected, EXPECTED),
    (Source::Upstream, UPSTREAM),
    (Source::RequestTimeout, REQUEST_TIMEOUT),
    (Source::RequestDeadline, REQUEST_DEADLINE),
    (Source::PerTry, PER_TRY),
    (Source::Router, name!("x-envoy-upstream-stream-duration-ms")),
    (Source::Router, name!("x-envoy-upstream-rq-timeout-alt-response")),
    (Source::Router, name!("x-envoy-hedge-on-per-try-timeout")),
];

const CONTROL_NAMES: Names<10> = {
    let [(_, a), (_, b), (_, c), (_, d), (_, e), (_, f), (_, g), (_, h), (_, i), (_, j)] = CONTROLS;
    Names::new([a, b, c, d, e, f, g, h, i, j])
};

impl Source {
    /// The value of the label `source`.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Source::Rule => "rule",
            Source::Grpc => "grpc",
            Source::Connect => "connect",
            Source::Expected => "expected",
            Source::Upstream => "upstream",
            Source::RequestTimeout => "request_timeout",
            Source::RequestDeadline => "request_deadline",
            Source::PerTry => "per_try",
            Source::Router => "router",
        }
    }

    /// What one value says; `None` when it does not have the header's form.
    #[must_use]
    pub fn parse(self, value: &[u8]) -> Option<Said> {
        match self {
            Source::Rule | Source::Router => None,
            Source::Grpc => forms::grpc_timeout(value).map(Said::Allowance),
            Source::Connect => forms::connect_timeout(value).map(Said::Allowance),
            Source::Expected | Source::Upstream | Source::PerTry => forms::millis(value).map(Said::Allowance),
            Source::RequestTimeout => forms::request_timeout(value).map(Said::Allowance),
            Source::RequestDeadline => forms::moment(value).map(Said::Moment),
        }
    }
}

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Said {
    Allowance(Duration),
    Moment(Moment),
}

/// A set of sources.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sources(u16);

impl Sources {
    #[must_use]
    pub const fn with(self, source: Source) -> Sources {
        Sources(self.0 | 1 << source as u16)
    }

    #[must_use]
    pub const fn contains(self, source: Source) -> bool {
        self.0 & 1 << source as u16 != 0
    }

    /// As a number, for others of this module.
    #[must_use]
    pub const fn bits(self) -> u16 {
        self.0
    }

    #[must_use]
    pub const fn of_bits(bits: u16) -> Sources {
        Sources(bits)
    }
}

/// Whose headers count. All of them can only shorten what the rule allows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientSources {
    /// Only those of trusted peers.
    Trusted,
    /// Those that clients of a protocol set, from anyone, and all of trusted peers.
    #[default]
    CapOnly,
    /// Nobody's.
    Ignore,
}

impl ClientSources {
    /// Whether a value of this source counts. Envoy's own headers steer the router, and a point in time is only as good as its
    /// sender's clock: neither is ever a stranger's to set.
    #[must_use]
    pub fn accept(self, source: Source, trusted: bool) -> bool {
        match self {
            ClientSources::Ignore => false,
            ClientSources::Trusted => trusted,
            ClientSources::CapOnly => {
                trusted || matches!(source, Source::Grpc | Source::Connect | Source::RequestTimeout)
            }
        }
    }
}

/// The timeouts a request's protocol has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Speaks {
    pub grpc: bool,
    pub connect: bool,
}

impl Speaks {
    /// A client speaks gRPC by its content type, gRPC-Web included and parameters allowed, and Connect by that or its version.
    #[must_use]
    pub fn of(client: Protocol, headers: &HeaderBlock) -> Speaks {
        let content_type = headers.first(name!("content-type")).unwrap_or_default();
        let grpc = match content_type.split_at_checked(b"application/grpc".len()) {
            Some((kind, rest)) => {
                kind.eq_ignore_ascii_case(b"application/grpc")
                    && matches!(rest.first(), None | Some(b'+' | b'-' | b';'))
            }
            None => false,
        };
        let connect = matches!(client, Protocol::Connect | Protocol::ConnectStream { .. });
        let connect = connect || headers.first(name!("connect-protocol-version")).is_some();
        Speaks { grpc, connect: connect && !grpc }
    }

    /// Whether this source means anything on such a request.
    #[must_use]
    pub fn has(self, source: Source) -> bool {
        match source {
            Source::Grpc => self.grpc,
            Source::Connect => self.connect,
            Source::Expected | Source::Upstream | Source::RequestTimeout | Source::RequestDeadline => true,
            Source::Rule | Source::PerTry | Source::Router => false,
        }
    }
}

/// What a request carries of all this, every value of a repeated header included, and what its sender is.
#[derive(Clone, Debug, Default)]
pub struct Carried<'a> {
    pub values: Vec<(Source, Name, &'a [u8])>,
    pub speaks: Speaks,
    pub trusted: bool,
}

impl<'a> Carried<'a> {
    #[must_use]
    pub fn of(headers: &'a HeaderBlock, speaks: Speaks, trusted: bool) -> Carried<'a> {
        let mut values = Vec::new();
        // Nearly always there are none at all.
        if headers.has_any(&CONTROL_NAMES) {
            for (source, name) in &CONTROLS {
                values.extend(headers.all(*name).map(|value| (*source, *name, value)));
            }
        }
        Carried { values, speaks, trusted }
    }

    #[must_use]
    pub fn has(&self, source: Source) -> bool {
        self.values.iter().any(|(of, ..)| *of == source)
    }
}

/// How a control header is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It counts.
    Read,
    /// A trusted sender's, and nothing that is read here.
    Left,
    /// Its sender may not set it.
    Refused,
}

/// What becomes of a control header. An outsider's is never left as it came, whether anybody here would read it or not.
#[must_use]
pub fn fate(client_sources: ClientSources, read: Sources, carried: &Carried<'_>, source: Source) -> Fate {
    let accepted = client_sources.accept(source, carried.trusted);
    if accepted && read.contains(source) && carried.speaks.has(source) {
        return Fate::Read;
    }
    let theirs = matches!(source, Source::Router) || client_sources != ClientSources::Ignore;
    if carried.trusted && theirs { Fate::Left } else { Fate::Refused }
}

/// How much a point in time leaves (filters.md 3.4, clock skew): within `skew` of now nobody can tell which side it is on, and half of
/// the skew is what is left. `None` beyond: the sender's clock is wrong, or its units are.
#[must_use]
pub fn left_until(moment: Moment, now: Wall, skew: Duration) -> Option<Duration> {
    let now = now.since_epoch();
    let late = now.saturating_sub(moment.since_epoch());
    let left = moment.since_epoch().saturating_sub(now);
    match left {
        _ if late > skew || left > LONGEST => None,
        left if left <= skew => skew.checked_div(2),
        left => Some(left),
    }
}

/// What no timeout exceeds.
pub const LONGEST: Duration = Duration::from_secs(86_400);
