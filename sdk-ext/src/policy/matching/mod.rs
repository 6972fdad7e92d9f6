//! Which requests a rule is for. No regular expressions: every pattern is compared in one pass over the input.

use super::path::{PathReading, read_path};
use crate::config::de::{Refusal, Struct, boolean, text, variant};
use crate::config::{Checks, Json, Quoted};
use crate::headers::OwnedName;

/// The `match` object of a rule as it stands in JSON. All conditions given must hold; none given matches everything.
#[derive(Clone, Debug, Default)]
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

#[derive(Clone, Debug)]
pub enum RawPathMatch {
    Exact(String),
    /// On segment borders: `/admin` is not `/administrator`
    Prefix(String),
    /// `/v1/users/{id}`; `{…}` is one segment that is not empty
    Template(String),
}

/// One of `exact`, `prefix` and `present`.
#[derive(Clone, Debug)]
pub struct RawHeaderMatch {
    pub name: String,
    pub exact: Option<String>,
    pub prefix: Option<String>,
    pub present: Option<bool>,
}

/// As serde would: a field that is `null` is one that is not given.
impl RawMatch {
    pub(crate) fn read(json: &Json) -> Result<RawMatch, Refusal> {
        let fields = Struct::of(json, &["host", "path", "methods", "headers", "route_name", "cluster"])?;
        Ok(RawMatch {
            host: given(fields, "host", text)?,
            path: given(fields, "path", RawPathMatch::read)?,
            methods: match fields.given("methods") {
                Some(_) => fields.texts("methods")?,
                None => None,
            },
            headers: fields.list("headers", RawHeaderMatch::read)?.unwrap_or_default(),
            route_name: given(fields, "route_name", text)?,
            cluster: given(fields, "cluster", text)?,
        })
    }
}

impl RawPathMatch {
    fn read(json: &Json) -> Result<RawPathMatch, Refusal> {
        let names = &["exact", "prefix", "template"];
        let (variant, value) = variant(json, names)?;
        let path =
            text(value).map_err(|error| error.below(names.get(variant).copied().unwrap_or_default()))?;
        Ok(match variant {
            0 => RawPathMatch::Exact(path),
            1 => RawPathMatch::Prefix(path),
            _ => RawPathMatch::Template(path),
        })
    }
}

impl RawHeaderMatch {
    fn read(json: &Json) -> Result<RawHeaderMatch, Refusal> {
        let fields = Struct::of(json, &["name", "exact", "prefix", "present"])?;
        Ok(RawHeaderMatch {
            name: fields.text("name")?.ok_or_else(|| serde::de::Error::missing_field("name"))?,
            exact: given(fields, "exact", text)?,
            prefix: given(fields, "prefix", text)?,
            present: given(fields, "present", boolean)?,
        })
    }
}

fn given<T>(
    fields: Struct<'_>,
    name: &str,
    read: fn(&Json) -> Result<T, Refusal>,
) -> Result<Option<T>, Refusal> {
    match fields.given(name) {
        Some(_) => fields.one(name, read),
        None => Ok(None),
    }
}

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
    /// `None` after a condition was refused at `at`: one that could never match, or that says two things at once.
    pub fn parse(raw: RawMatch, case: PathCase, at: &mut Checks<'_>) -> Option<Self> {
        let host = optional(raw.host, |host| parse_host(&host, &mut at.at("host")));
        let path = optional(raw.path, |path| parse_path(path, case, &mut at.at("path")));
        let methods = optional(raw.methods, |methods| parse_methods(methods, &mut at.at("methods")));
        let headers = parse_headers(raw.headers, &mut at.at("headers"));
        let route_name = optional(raw.route_name, |name| parse_name(name, &mut at.at("route_name")));
        let cluster = optional(raw.cluster, |name| parse_name(name, &mut at.at("cluster")));
        Some(Self {
            host: host?,
            path: path?,
            methods: methods?,
            headers: headers?,
            route_name: route_name?,
            cluster: cluster?,
        })
    }

    /// Whether every condition holds. A header condition holds if any value of that header satisfies it.
    pub fn matches(&self, request: &RequestView<'_>) -> bool {
        self.host.as_ref().is_none_or(|host| host.matches(request.authority))
            && self.path.as_ref().is_none_or(|path| request.path.is_some_and(|given| path.matches(given)))
            && self
                .methods
                .as_ref()
                .is_none_or(|methods| methods.iter().any(|method| method_matches(method, request.method)))
            && self.headers.iter().all(|header| header.matches(request.headers))
            && self.route_name.as_ref().is_none_or(|name| name.as_bytes() == request.route_name)
            && self.cluster.as_ref().is_none_or(|name| name.as_bytes() == request.cluster)
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
                start > 0 && host.get(start..).is_some_and(|end| end.eq_ignore_ascii_case(suffix.as_bytes()))
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
                segments.iter().all(|segment| given.next().is_some_and(|text| segment.matches(text)))
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

/// `Some(None)` for a condition that is not given, `None` for one that was refused.
fn optional<R, T>(raw: Option<R>, parse: impl FnOnce(R) -> Option<T>) -> Option<Option<T>> {
    match raw {
        None => Some(None),
        Some(raw) => parse(raw).map(Some),
    }
}

#[inline(never)]
fn parse_name(name: String, at: &mut Checks<'_>) -> Option<String> {
    if name.is_empty() {
        at.refuse("a name", "an empty one");
        return None;
    }
    Some(name)
}

fn parse_host(host: &str, at: &mut Checks<'_>) -> Option<HostMatch> {
    let name = host.strip_prefix("*.").unwrap_or(host);
    let allowed =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':' | b'[' | b']');
    let bare = host_of(name.as_bytes()) == name.as_bytes();
    if name.is_empty() || name.starts_with('.') || !name.bytes().all(allowed) || !bare {
        at.refuse_value("a host name or `*.` and a host name, without a port or a dot at the end", host);
        return None;
    }
    Some(if name.len() == host.len() {
        HostMatch::Exact(name.to_owned())
    } else {
        HostMatch::Suffix(format!(".{name}"))
    })
}

fn parse_path(raw: RawPathMatch, case: PathCase, at: &mut Checks<'_>) -> Option<PathMatch> {
    let fold = |path: &str| match case {
        PathCase::Kept => path.to_owned(),
        PathCase::Folded => path.to_ascii_lowercase(),
    };
    match raw {
        RawPathMatch::Exact(path) => {
            is_canonical(&path, &mut at.at("exact")).then(|| PathMatch::Exact(fold(&path)))
        }
        RawPathMatch::Prefix(path) => is_canonical(&path, &mut at.at("prefix"))
            .then(|| PathMatch::Prefix(fold(path.strip_suffix('/').unwrap_or(&path)))),
        RawPathMatch::Template(template) => {
            let at = &mut at.at("template");
            let filled: Vec<_> =
                template.split('/').map(|segment| if is_variable(segment) { "x" } else { segment }).collect();
            let mut segments = Vec::with_capacity(filled.len());
            for segment in template.split('/').skip(1) {
                if is_variable(segment) {
                    segments.push(Segment::Any);
                } else if segment.contains(['{', '}']) {
                    at.refuse_value("`{name}` as a whole segment", segment);
                    return None;
                } else {
                    segments.push(Segment::Literal(fold(segment)));
                }
            }
            is_canonical(&filled.join("/"), at).then_some(PathMatch::Template(segments))
        }
    }
}

fn is_variable(segment: &str) -> bool {
    segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).is_some_and(|name| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    })
}

/// Requests are matched in canonical form, so a rule in any other form would never match.
#[inline(never)]
fn is_canonical(path: &str, at: &mut Checks<'_>) -> bool {
    match read_path(path.as_bytes()) {
        PathReading::Canonical(canonical) if canonical.as_str() == path => return true,
        PathReading::Canonical(canonical) => {
            let expected = format!("the canonical form {}", Quoted(canonical.as_str()));
            at.refuse_quoting(
                (&expected, &Quoted(path)),
                ("a path in canonical form", &"another (not shown)"),
            );
        }
        PathReading::Ambiguous(why) => refuse_path(path, &why, at),
        PathReading::Refused(why) => refuse_path(path, &why, at),
    }
    false
}

fn refuse_path(path: &str, why: &dyn std::fmt::Display, at: &mut Checks<'_>) {
    const EXPECTED: &str = "a canonical path";
    at.refuse_quoting(
        (&EXPECTED, &format_args!("{}, which has {why}", Quoted(path))),
        (EXPECTED, &format_args!("one (not shown) that has {why}")),
    );
}

fn parse_methods(methods: Vec<String>, at: &mut Checks<'_>) -> Option<Vec<String>> {
    let mut good = true;
    if methods.is_empty() {
        at.refuse("at least one method", "an empty list");
        good = false;
    }
    for (index, method) in methods.iter().enumerate() {
        if method.is_empty() || !method.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-') {
            at.at(index).refuse_value("a method in capital letters", method);
            good = false;
        }
    }
    good.then_some(methods)
}

fn parse_headers(raw: Vec<RawHeaderMatch>, at: &mut Checks<'_>) -> Option<Vec<HeaderMatch>> {
    let count = raw.len();
    let headers: Vec<HeaderMatch> = raw
        .into_iter()
        .enumerate()
        .filter_map(|(index, header)| parse_header(header, &mut at.at(index)))
        .collect();
    (headers.len() == count).then_some(headers)
}

fn parse_header(raw: RawHeaderMatch, at: &mut Checks<'_>) -> Option<HeaderMatch> {
    let Some(name) = OwnedName::parse(&raw.name) else {
        at.at("name").refuse_value("a header name", raw.name);
        return None;
    };
    let value = match (raw.exact, raw.prefix, raw.present) {
        (Some(exact), None, None) => ValueMatch::Exact(exact),
        (None, Some(prefix), None) => ValueMatch::Prefix(prefix),
        (None, None, Some(present)) => ValueMatch::Present(present),
        (None, None, None) => {
            at.refuse("one of `exact`, `prefix` and `present`", "none");
            return None;
        }
        _ => {
            at.refuse("one of `exact`, `prefix` and `present`", "several");
            return None;
        }
    };
    Some(HeaderMatch { name: name.as_str().to_owned(), value })
}

#[cfg(test)]
mod tests;
