//! When a route applies: path, headers, query parameters (envoy/config/route/v3/route_components.proto, `RouteMatch`).
//! Checked case by case against Envoy 1.40.

use bytes::Bytes;

use super::{FullMatch, StringMatch};
use crate::message::HeaderMap;

/// All conditions must hold.
#[derive(Clone, Debug)]
pub struct RouteMatch {
    pub path: PathMatch,
    /// Has no effect on [`PathMatch::Regex`], as in Envoy.
    pub case_sensitive: bool,
    pub headers: Vec<HeaderMatch>,
    pub query_parameters: Vec<QueryMatch>,
    /// Only requests whose content type is `application/grpc`, alone or followed by `+…`.
    pub grpc_only: bool,
}

/// The path is compared without query and fragment, as it stands: neither decoded nor normalised.
#[derive(Clone, Debug)]
pub enum PathMatch {
    Prefix(String),
    Exact(String),
    /// `/api` matches `/api` and `/api/…` but not `/apis`.
    SeparatedPrefix(String),
    Regex(FullMatch),
}

/// A condition on a request header.
#[derive(Clone, Debug)]
pub struct HeaderMatch {
    /// Lower case.
    pub name: String,
    pub condition: HeaderCondition,
    pub invert: bool,
    /// An absent header counts as one with an empty value.
    pub missing_is_empty: bool,
}

#[derive(Clone, Debug)]
pub enum HeaderCondition {
    Present(bool),
    Value(StringMatch),
    /// A decimal integer, `start` included, `end` not.
    Range {
        start: i64,
        end: i64,
    },
}

/// A condition on the first query parameter of this name, compared without percent-decoding.
#[derive(Clone, Debug)]
pub struct QueryMatch {
    /// Case-sensitive.
    pub name: String,
    pub condition: QueryCondition,
}

#[derive(Clone, Debug)]
pub enum QueryCondition {
    Present(bool),
    Value(StringMatch),
}

impl RouteMatch {
    pub fn is_match(&self, headers: &HeaderMap) -> bool {
        let Some(target) = headers.first(b":path") else {
            return false;
        };
        let (path, behind) = split_target(target);
        self.path.is_match(path, self.case_sensitive)
            && (!self.grpc_only || is_grpc(headers))
            && self.headers.iter().all(|condition| condition.is_match(headers))
            && self.query_parameters.iter().all(|condition| condition.is_match(query_in(behind)))
    }
}

impl PathMatch {
    fn is_match(&self, path: &[u8], case_sensitive: bool) -> bool {
        let same = |a: &[u8], b: &[u8]| {
            if case_sensitive { a == b } else { a.eq_ignore_ascii_case(b) }
        };
        match self {
            PathMatch::Exact(wanted) => same(path, wanted.as_bytes()),
            PathMatch::Prefix(wanted) => {
                path.get(..wanted.len()).is_some_and(|start| same(start, wanted.as_bytes()))
            }
            PathMatch::SeparatedPrefix(wanted) => {
                path.split_at_checked(wanted.len()).is_some_and(|(start, rest)| {
                    same(start, wanted.as_bytes()) && (rest.is_empty() || rest.starts_with(b"/"))
                })
            }
            PathMatch::Regex(regex) => regex.is_match(path),
        }
    }
}

impl HeaderMatch {
    /// Each line of a repeated header is compared by itself; one that fits is enough, also under `invert`, where it
    /// makes the condition fail. An absent header never fits, inverted or not, unless it counts as empty or the
    /// condition is about presence.
    pub fn is_match(&self, headers: &HeaderMap) -> bool {
        // Envoy keeps `host` as `:authority`.
        let name = if self.name == "host" { ":authority" } else { &self.name };
        let mut values = headers.all(name.as_bytes()).peekable();
        let present = values.peek().is_some() || self.missing_is_empty;
        let empty = Bytes::new();
        let fits = match &self.condition {
            HeaderCondition::Present(wanted) => return (present == *wanted) != self.invert,
            _ if !present => return false,
            condition if values.peek().is_none() => condition.fits(&empty),
            condition => values.any(|value| condition.fits(value)),
        };
        fits != self.invert
    }
}

impl HeaderCondition {
    fn fits(&self, value: &[u8]) -> bool {
        match self {
            HeaderCondition::Present(wanted) => *wanted,
            HeaderCondition::Value(wanted) => wanted.is_match(value),
            HeaderCondition::Range { start, end } => std::str::from_utf8(value)
                .ok()
                .and_then(|text| text.parse::<i64>().ok())
                .is_some_and(|number| (*start..*end).contains(&number)),
        }
    }
}

impl QueryMatch {
    fn is_match(&self, query: &[u8]) -> bool {
        let value = query.split(|byte| *byte == b'&').find_map(|pair| {
            let (name, value) = match pair.iter().position(|byte| *byte == b'=') {
                Some(at) => (pair.get(..at)?, pair.get(at + 1..)?),
                None => (pair, &b""[..]),
            };
            (name == self.name.as_bytes()).then_some(value)
        });
        match &self.condition {
            QueryCondition::Present(wanted) => value.is_some() == *wanted,
            QueryCondition::Value(wanted) => value.is_some_and(|value| wanted.is_match(value)),
        }
    }
}

/// The path of a request target, and what stands behind it: query, fragment.
fn split_target(target: &[u8]) -> (&[u8], &[u8]) {
    let end = target.iter().position(|byte| matches!(byte, b'?' | b'#'));
    target.split_at(end.unwrap_or(target.len()))
}

/// The query in what stands behind a path.
fn query_in(behind: &[u8]) -> &[u8] {
    let query = behind.strip_prefix(b"?").unwrap_or_default();
    query.split(|byte| *byte == b'#').next().unwrap_or_default()
}

fn is_grpc(headers: &HeaderMap) -> bool {
    headers
        .first(b"content-type")
        .and_then(|value| value.strip_prefix(b"application/grpc"))
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"+"))
}
