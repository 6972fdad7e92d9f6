//! Which requests a rule is for. No regular expressions: every pattern is compared in one pass over the input.

use std::fmt;

use serde::Deserialize;

use super::path::{PathReading, read_path};

/// The `match` object of a rule as it stands in JSON. All conditions given must hold; none given matches everything.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawMatch {
    /// `api.example` or `*.example`
    pub host: Option<String>,
    pub path: Option<RawPathMatch>,
    /// `GET` is also `HEAD`
    pub methods: Option<Vec<String>>,
    pub headers: Vec<RawHeaderMatch>,
    /// `xds.route_name`
    pub route_name: Option<String>,
    /// `xds.cluster_name`
    pub cluster: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RawPathMatch {
    Exact(String),
    /// On segment borders: `/admin` is not `/administrator`
    Prefix(String),
    /// `/v1/users/{id}`; `{…}` is one segment that is not empty
    Template(String),
}

/// One of `exact`, `prefix` and `present`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawHeaderMatch {
    pub name: String,
    pub exact: Option<String>,
    pub prefix: Option<String>,
    pub present: Option<bool>,
}

/// What is wrong in a `match` object, and where in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MatchError {
    /// JSON pointer below the `match` object, such as `/path/prefix`
    pub pointer: String,
    pub message: String,
}

impl fmt::Display for MatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.pointer, self.message)
    }
}

impl std::error::Error for MatchError {}

/// Whether servers behind the proxy distinguish `/Admin` from `/admin`. Where they do not, requests are matched by
/// [`CanonicalPath::folded`](super::CanonicalPath::folded).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PathCase {
    #[default]
    Kept,
    Folded,
}

/// What a rule may look at. Bytes as the proxy gave them, the path canonical.
#[derive(Clone, Copy, Debug)]
pub struct RequestView<'a> {
    pub method: &'a [u8],
    /// `:authority`
    pub authority: &'a [u8],
    /// One reading of [`read_path`]; `None` where the request has no path (`CONNECT`)
    pub path: Option<&'a str>,
    pub headers: &'a [(&'a [u8], &'a [u8])],
    /// Empty where the proxy knows none or no rule asks
    pub route_name: &'a [u8],
    pub cluster: &'a [u8],
}

/// A parsed `match` object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Match {
    host: Option<HostMatch>,
    path: Option<PathMatch>,
    methods: Option<Vec<String>>,
    headers: Vec<HeaderMatch>,
    route_name: Option<String>,
    cluster: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum HostMatch {
    Exact(String),
    /// With its leading dot
    Suffix(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum PathMatch {
    Exact(String),
    /// Without a trailing slash; empty matches every path
    Prefix(String),
    Template(Vec<Segment>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Literal(String),
    Any,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct HeaderMatch {
    name: String,
    value: ValueMatch,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum ValueMatch {
    Exact(String),
    Prefix(String),
    Present(bool),
}

impl Match {
    /// # Errors
    /// Names the first condition that could never match or says two things at once.
    pub fn parse(raw: RawMatch, case: PathCase) -> Result<Self, MatchError> {
        Ok(Self {
            host: raw.host.map(|host| parse_host(&host)).transpose()?,
            path: raw.path.map(|path| parse_path(path, case)).transpose()?,
            methods: raw.methods.map(parse_methods).transpose()?,
            headers: parse_headers(raw.headers)?,
            route_name: raw
                .route_name
                .map(|name| not_empty(name, "/route_name"))
                .transpose()?,
            cluster: raw.cluster.map(|name| not_empty(name, "/cluster")).transpose()?,
        })
    }

    /// Whether every condition holds. A header condition holds if any value of that header satisfies it.
    pub fn matches(&self, request: &RequestView<'_>) -> bool {
        self.host
            .as_ref()
            .is_none_or(|host| host.matches(request.authority))
            && self
                .path
                .as_ref()
                .is_none_or(|path| request.path.is_some_and(|given| path.matches(given)))
            && self.methods.as_ref().is_none_or(|methods| {
                methods
                    .iter()
                    .any(|method| method_matches(method, request.method))
            })
            && self.headers.iter().all(|header| header.matches(request.headers))
            && self
                .route_name
                .as_ref()
                .is_none_or(|name| name.as_bytes() == request.route_name)
            && self
                .cluster
                .as_ref()
                .is_none_or(|name| name.as_bytes() == request.cluster)
    }

    /// Whether the path decides anything here.
    pub fn asks_path(&self) -> bool {
        self.path.is_some()
    }

    /// Whether `route_name` must be filled in for this to match; reading it from the proxy costs a call.
    pub fn asks_route_name(&self) -> bool {
        self.route_name.is_some()
    }

    /// Whether `cluster` must be filled in for this to match.
    pub fn asks_cluster(&self) -> bool {
        self.cluster.is_some()
    }
}

impl HostMatch {
    fn matches(&self, authority: &[u8]) -> bool {
        let host = host_of(authority);
        match self {
            Self::Exact(name) => host.eq_ignore_ascii_case(name.as_bytes()),
            Self::Suffix(suffix) => host.len().checked_sub(suffix.len()).is_some_and(|start| {
                start > 0
                    && host
                        .get(start..)
                        .is_some_and(|end| end.eq_ignore_ascii_case(suffix.as_bytes()))
            }),
        }
    }
}

/// The host of an authority: no user information, no port, no dot at the end.
fn host_of(authority: &[u8]) -> &[u8] {
    let host = authority.rsplit(|byte| *byte == b'@').next().unwrap_or(authority);
    let digits = host.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let host = match host.len().checked_sub(digits).and_then(|end| host.get(..end)) {
        Some([name @ .., b':']) => name,
        _ => host,
    };
    host.strip_suffix(b".").unwrap_or(host)
}

impl PathMatch {
    fn matches(&self, path: &str) -> bool {
        match self {
            Self::Exact(exact) => path == exact,
            Self::Prefix(prefix) => path
                .strip_prefix(prefix.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
            Self::Template(segments) => {
                let mut given = path.split('/').skip(1);
                segments
                    .iter()
                    .all(|segment| given.next().is_some_and(|text| segment.matches(text)))
                    && given.next().is_none()
            }
        }
    }
}

impl Segment {
    fn matches(&self, text: &str) -> bool {
        match self {
            Self::Literal(literal) => literal == text,
            Self::Any => !text.is_empty(),
        }
    }
}

impl HeaderMatch {
    fn matches(&self, headers: &[(&[u8], &[u8])]) -> bool {
        let mut values = headers
            .iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case(self.name.as_bytes()))
            .map(|(_, value)| *value);
        match &self.value {
            ValueMatch::Exact(exact) => values.any(|value| value == exact.as_bytes()),
            ValueMatch::Prefix(prefix) => values.any(|value| value.starts_with(prefix.as_bytes())),
            ValueMatch::Present(wanted) => values.next().is_some() == *wanted,
        }
    }
}

/// Servers answer `HEAD` by the handler of `GET`, so a rule for one is a rule for both.
fn method_matches(rule: &str, method: &[u8]) -> bool {
    rule.as_bytes() == method || (rule == "GET" && method == b"HEAD")
}

fn error(pointer: impl Into<String>, message: impl Into<String>) -> MatchError {
    MatchError {
        pointer: pointer.into(),
        message: message.into(),
    }
}

fn not_empty(text: String, pointer: &str) -> Result<String, MatchError> {
    if text.is_empty() {
        Err(error(pointer, "empty, so it would match nothing"))
    } else {
        Ok(text)
    }
}

fn parse_host(host: &str) -> Result<HostMatch, MatchError> {
    let name = host.strip_prefix("*.").unwrap_or(host);
    let allowed =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':' | b'[' | b']');
    if name.is_empty() || name.starts_with('.') || !name.bytes().all(allowed) {
        return Err(error(
            "/host",
            format!("found {host:?}, expected a host name or `*.` and a host name"),
        ));
    }
    if host_of(name.as_bytes()) != name.as_bytes() {
        return Err(error(
            "/host",
            format!("found {host:?}, expected no port and no dot at the end"),
        ));
    }
    Ok(if name.len() == host.len() {
        HostMatch::Exact(name.to_owned())
    } else {
        HostMatch::Suffix(format!(".{name}"))
    })
}

fn parse_path(raw: RawPathMatch, case: PathCase) -> Result<PathMatch, MatchError> {
    let fold = |path: String| match case {
        PathCase::Kept => path,
        PathCase::Folded => path.to_ascii_lowercase(),
    };
    match raw {
        RawPathMatch::Exact(path) => {
            require_canonical(&path, "/path/exact")?;
            Ok(PathMatch::Exact(fold(path)))
        }
        RawPathMatch::Prefix(path) => {
            require_canonical(&path, "/path/prefix")?;
            let path = path.strip_suffix('/').unwrap_or(&path);
            Ok(PathMatch::Prefix(fold(path.to_owned())))
        }
        RawPathMatch::Template(template) => {
            let pointer = "/path/template";
            let probe: Vec<_> = template
                .split('/')
                .map(|text| if is_variable(text) { "x" } else { text })
                .collect();
            require_canonical(&probe.join("/"), pointer)?;
            let parse = |text: &str| {
                if is_variable(text) {
                    Ok(Segment::Any)
                } else if text.contains(['{', '}']) {
                    Err(error(
                        pointer,
                        format!("found {text:?}, expected `{{name}}` as a whole segment"),
                    ))
                } else {
                    Ok(Segment::Literal(fold(text.to_owned())))
                }
            };
            Ok(PathMatch::Template(
                template.split('/').skip(1).map(parse).collect::<Result<_, _>>()?,
            ))
        }
    }
}

fn is_variable(segment: &str) -> bool {
    segment
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'))
        .is_some_and(|name| {
            !name.is_empty()
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        })
}

/// Requests are matched in canonical form, so a rule in any other form would never match.
fn require_canonical(path: &str, pointer: &str) -> Result<(), MatchError> {
    let found = match read_path(path.as_bytes()) {
        PathReading::Canonical(canonical) if canonical.as_str() == path => return Ok(()),
        PathReading::Canonical(canonical) => format!(
            "found {path:?}, which never matches; write {:?}",
            canonical.as_str()
        ),
        PathReading::Ambiguous(why) => {
            format!("found {path:?}, which has {why}; requests with it never match")
        }
        PathReading::Refused(why) => format!("found {path:?}, which is {why}"),
    };
    Err(error(pointer, found))
}

fn parse_methods(methods: Vec<String>) -> Result<Vec<String>, MatchError> {
    if methods.is_empty() {
        return Err(error("/methods", "empty, so it would match nothing"));
    }
    for (index, method) in methods.iter().enumerate() {
        if method.is_empty()
            || !method
                .bytes()
                .all(|byte| byte.is_ascii_uppercase() || byte == b'-')
        {
            let message = format!("found {method:?}, expected a method in capital letters, such as \"GET\"");
            return Err(error(format!("/methods/{index}"), message));
        }
    }
    Ok(methods)
}

fn parse_headers(raw: Vec<RawHeaderMatch>) -> Result<Vec<HeaderMatch>, MatchError> {
    raw.into_iter()
        .enumerate()
        .map(|(index, header)| parse_header(index, header))
        .collect()
}

fn parse_header(index: usize, raw: RawHeaderMatch) -> Result<HeaderMatch, MatchError> {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if raw.name.is_empty() || !raw.name.bytes().all(token) {
        let message = format!("found {:?}, expected a header name", raw.name);
        return Err(error(format!("/headers/{index}/name"), message));
    }
    let value = match (raw.exact, raw.prefix, raw.present) {
        (Some(exact), None, None) => ValueMatch::Exact(exact),
        (None, Some(prefix), None) => ValueMatch::Prefix(prefix),
        (None, None, Some(present)) => ValueMatch::Present(present),
        _ => {
            return Err(error(
                format!("/headers/{index}"),
                "expected one of `exact`, `prefix` and `present`",
            ));
        }
    };
    Ok(HeaderMatch {
        name: raw.name,
        value,
    })
}

#[cfg(test)]
mod tests;
