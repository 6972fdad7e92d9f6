//! Which requests a rule is for. No regular expressions: every pattern is compared in one pass over the input.

use super::path::{PathReading, read_path};
use crate::config::de::{Refusal, Struct, boolean, text, variant};
use crate::config::{Checks, Json, Quoted};
use crate::headers::OwnedName;

/// The `match` object of a rule as it stands in JSON. All conditions given must hold; none given matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RawPathMatch {
    Exact(String),
    /// On segment borders: `/admin` is not `/administrator`
    Prefix(String),
    /// `/v1/users/{id}`; `{…}` is one segment that is not empty
    Template(String),
}

/// One of `exact`, `prefix` and `present`.
#[derive(Clone, Debug, PartialEq, Eq)]
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

/// A `match` object that was looked into: its fields as written, each of them one that can hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Match(RawMatch);

impl Match {
    /// `None` after a condition was refused at `at`: one that could never match, or that says two things at once.
    pub fn parse(mut raw: RawMatch, case: PathCase, at: &mut Checks<'_>) -> Option<Self> {
        let mut good = true;
        if let Some(host) = &raw.host {
            good &= check_host(host, &mut at.at("host"));
        }
        if let Some(path) = &mut raw.path {
            good &= check_path(path, case, &mut at.at("path"));
        }
        if let Some(methods) = &raw.methods {
            good &= check_methods(methods, &mut at.at("methods"));
        }
        good &= check_headers(&raw.headers, &mut at.at("headers"));
        for (field, name) in [("route_name", &raw.route_name), ("cluster", &raw.cluster)] {
            if name.as_ref().is_some_and(String::is_empty) {
                at.at(field).refuse("a name", "an empty one");
                good = false;
            }
        }
        good.then_some(Self(raw))
    }

    /// Whether every condition holds. A header condition holds if any value of that header satisfies it.
    pub fn matches(&self, request: &RequestView<'_>) -> bool {
        let rule = &self.0;
        rule.host.as_ref().is_none_or(|host| host_matches(host, request.authority))
            && rule.path.as_ref().is_none_or(|path| request.path.is_some_and(|given| path.matches(given)))
            && rule
                .methods
                .as_ref()
                .is_none_or(|methods| methods.iter().any(|method| method_matches(method, request.method)))
            && rule.headers.iter().all(|header| header.matches(request.headers))
            && rule.route_name.as_ref().is_none_or(|name| name.as_bytes() == request.route_name)
            && rule.cluster.as_ref().is_none_or(|name| name.as_bytes() == request.cluster)
    }

    /// Whether the path decides anything here.
    pub fn asks_path(&self) -> bool {
        self.0.path.is_some()
    }

    /// Whether `route_name` must be filled in for this to match; reading it from the proxy costs a call.
    pub fn asks_route_name(&self) -> bool {
        self.0.route_name.is_some()
    }

    /// Whether `cluster` must be filled in for this to match.
    pub fn asks_cluster(&self) -> bool {
        self.0.cluster.is_some()
    }
}

/// `*.api.example` is every host below `api.example`.
fn host_matches(rule: &str, authority: &[u8]) -> bool {
    let host = host_of(authority);
    match rule.strip_prefix('*') {
        None => host.eq_ignore_ascii_case(rule.as_bytes()),
        Some(suffix) => host.len().checked_sub(suffix.len()).is_some_and(|start| {
            start > 0 && host.get(start..).is_some_and(|end| end.eq_ignore_ascii_case(suffix.as_bytes()))
        }),
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

impl RawPathMatch {
    fn matches(&self, path: &str) -> bool {
        match self {
            Self::Exact(exact) => path == exact,
            Self::Prefix(prefix) => path
                .strip_prefix(prefix.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
            Self::Template(template) => {
                let mut given = path.split('/').skip(1);
                let fits = |segment: &str, text: &str| match segment.starts_with('{') {
                    true => !text.is_empty(),
                    false => segment == text,
                };
                let mut segments = template.split('/').skip(1);
                segments.all(|segment| given.next().is_some_and(|text| fits(segment, text)))
                    && given.next().is_none()
            }
        }
    }
}

impl RawHeaderMatch {
    fn matches(&self, headers: &[(&[u8], &[u8])]) -> bool {
        let mut values = headers
            .iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case(self.name.as_bytes()))
            .map(|(_, value)| *value);
        match (&self.exact, &self.prefix) {
            (Some(exact), _) => values.any(|value| value == exact.as_bytes()),
            (_, Some(prefix)) => values.any(|value| value.starts_with(prefix.as_bytes())),
            _ => Some(values.next().is_some()) == self.present,
        }
    }
}

/// Servers answer `HEAD` by the handler of `GET`, so a rule for one is a rule for both.
fn method_matches(rule: &str, method: &[u8]) -> bool {
    rule.as_bytes() == method || (rule == "GET" && method == b"HEAD")
}

fn check_host(host: &str, at: &mut Checks<'_>) -> bool {
    let name = host.strip_prefix("*.").unwrap_or(host);
    let allowed =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':' | b'[' | b']');
    let bare = host_of(name.as_bytes()) == name.as_bytes();
    let good = !name.is_empty() && !name.starts_with('.') && name.bytes().all(allowed) && bare;
    if !good {
        at.refuse_value("a host name or `*.` and a host name, without a port or a dot at the end", host);
    }
    good
}

/// What is good is also put into the form in which it is compared.
fn check_path(path: &mut RawPathMatch, case: PathCase, at: &mut Checks<'_>) -> bool {
    let (field, check): (_, fn(&str, &mut Checks<'_>) -> bool) = match path {
        RawPathMatch::Exact(_) => ("exact", is_canonical),
        RawPathMatch::Prefix(_) => ("prefix", is_canonical),
        RawPathMatch::Template(_) => ("template", check_template),
    };
    let (RawPathMatch::Exact(text) | RawPathMatch::Prefix(text) | RawPathMatch::Template(text)) = path;
    if !check(text, &mut at.at(field)) {
        return false;
    }
    if case == PathCase::Folded {
        text.make_ascii_lowercase();
    }
    if let RawPathMatch::Prefix(text) = path
        && text.ends_with('/')
    {
        text.pop();
    }
    true
}

fn check_template(template: &str, at: &mut Checks<'_>) -> bool {
    let mut filled = String::with_capacity(template.len());
    for (index, segment) in template.split('/').enumerate() {
        if index > 0 {
            filled.push('/');
        }
        if is_variable(segment) {
            filled.push('x');
        } else if index > 0 && segment.contains(['{', '}']) {
            at.refuse_value("`{name}` as a whole segment", segment);
            return false;
        } else {
            filled.push_str(segment);
        }
    }
    is_canonical(&filled, at)
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

fn check_methods(methods: &[String], at: &mut Checks<'_>) -> bool {
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
    good
}

fn check_headers(headers: &[RawHeaderMatch], at: &mut Checks<'_>) -> bool {
    let mut good = true;
    for (index, header) in headers.iter().enumerate() {
        good &= check_header(header, &mut at.at(index));
    }
    good
}

fn check_header(header: &RawHeaderMatch, at: &mut Checks<'_>) -> bool {
    if OwnedName::parse(&header.name).is_none() {
        at.at("name").refuse_value("a header name", &header.name);
        return false;
    }
    let conditions = [header.exact.is_some(), header.prefix.is_some(), header.present.is_some()]
        .into_iter()
        .filter(|given| *given);
    let found = match conditions.count() {
        0 => "none",
        1 => return true,
        _ => "several",
    };
    at.refuse("one of `exact`, `prefix` and `present`", found);
    false
}

#[cfg(test)]
mod tests;
