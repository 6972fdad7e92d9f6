//! The whole decision about one request: from its header block to what is done with it.

mod by_route;

use wayside_sdk::policy::{
    Asked, CanonicalPath, DEFAULT_RULE, PathCase, PathReading, RequestView, Rules, read_path,
};

pub use self::by_route::ByRoute;
use crate::access::{Access, Admission, Grant, Halt};
use crate::authorization::is_token;
use crate::denial::{Denial, Reason};
use crate::identity::{Identity, IdentityHeaders, encode_value};
use crate::kinds::{Once, View};
use crate::means::Means;
use crate::source::{Edit, Flaw, Header, hide, only};
use crate::timestamp::Timestamp;

/// What is demanded of whom.
#[derive(Debug)]
pub struct Policy {
    pub identity: IdentityHeaders,
    pub rules: Rules<Access>,
    /// What `rules` look at
    pub asked: Asked,
    pub default: Access,
    /// Ready to stand between quotes
    pub realm: String,
    pub max_credential_bytes: usize,
    pub case: PathCase,
    /// Whether what browsers ask before they send a request of another origin passes without a credential
    pub bypass_preflight: bool,
    pub by_route: ByRoute,
}

/// A request as the proxy hands it over.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// In their order, pseudo headers included
    pub headers: &'a [Header<'a>],
    /// Needed only where a decision [awaits](Halt::Awaits) it
    pub body: Option<&'a [u8]>,
    /// Needed only if [`Policy::asked`] says so
    pub route_name: &'a [u8],
    pub cluster: &'a [u8],
    /// The route's own word, where it has one: see [`ByRoute`]
    pub route_says: Option<&'a [u8]>,
}

/// Names alone: any value may be a credential.
impl std::fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = self.headers.iter().map(|(name, _)| name.escape_ascii().to_string());
        f.debug_list().entries(names).finish()
    }
}

#[derive(Debug)]
pub struct Decision<'p> {
    /// The rule that decided; [`DEFAULT_RULE`] for the defaults
    pub rule: &'p str,
    /// Whether the request came with identity headers of its own
    pub claimed_identity: bool,
    pub outcome: Result<Admitted<'p>, Halt>,
}

/// A request that goes on, once `once` could be spent and `edits` are made in their order.
#[derive(Debug)]
pub struct Admitted<'p> {
    pub admission: Admission<'p>,
    pub once: Vec<Once>,
    pub edits: Vec<Edit<'p>>,
}

impl Policy {
    /// Decides about a request at wall time `now`.
    pub fn decide(&self, request: &Request<'_>, means: &dyn Means, now: Timestamp) -> Decision<'_> {
        let claimed = self.identity.claimed(request.headers);
        let claimed_identity = !claimed.is_empty();
        // A rule must not be chosen by an identity that nobody vouches for.
        let genuine: Vec<Header<'_>>;
        let headers = if claimed_identity && !self.rules.is_empty() {
            let headers = request.headers.iter();
            genuine = headers.filter(|(name, _)| !claimed.contains(name)).copied().collect();
            &genuine
        } else {
            request.headers
        };
        let selected = self.select(&Request { headers, ..*request });
        let (rule, access) = match selected.and_then(|selected| self.overridden(selected, request)) {
            Ok(selected) => selected,
            Err(reason) => {
                let outcome = Err(Denial::of(reason).into());
                return Decision { rule: DEFAULT_RULE, claimed_identity, outcome };
            }
        };
        let outcome = if claimed.iter().all(|name| is_removable(name)) {
            let view = View {
                headers: request.headers,
                body: request.body,
                max_credential_bytes: self.max_credential_bytes,
                now,
            };
            let grant = if self.bypass_preflight && is_preflight(request.headers) {
                Ok(Grant { admission: Admission::Open, once: Vec::new() })
            } else {
                access.admit(&view, means, &self.realm)
            };
            grant.map(|grant| self.admitted(access, grant, &view, &claimed))
        } else {
            Err(Denial::of(Reason::UnremovableHeader).into())
        };
        Decision { rule, claimed_identity, outcome }
    }

    /// What the route asks for in the place of what was selected.
    fn overridden<'p>(
        &'p self,
        selected: (&'p str, &'p Access),
        request: &Request<'_>,
    ) -> Result<(&'p str, &'p Access), Reason> {
        let Some(text) = request.route_says else { return Ok(selected) };
        match self.by_route.asked(text, &self.rules) {
            Some(asked) => Ok(asked),
            None if self.by_route.passes_over => Ok(selected),
            None => Err(Reason::BadOverride),
        }
    }

    /// The rule for a request, if every reading of its path leads to the same one.
    fn select(&self, request: &Request<'_>) -> Result<(&str, &Access), Reason> {
        let [method, path, authority] = pseudo_headers(request.headers);
        let once = |values: Result<_, Flaw>| values.map_err(|_| Reason::MalformedPath);
        let method = once(method)?.unwrap_or_default();
        let path = if self.asked.path { self.path_of(method, once(path)?)? } else { None };
        let view = RequestView {
            method,
            authority: once(authority)?.unwrap_or_default(),
            path: path.as_ref().map(CanonicalPath::as_str),
            headers: request.headers,
            route_name: request.route_name,
            cluster: request.cluster,
        };
        let rule = self.rules.select(&view);
        if let Some(lenient) = path.as_ref().and_then(CanonicalPath::lenient) {
            let other = self.rules.select(&RequestView { path: Some(lenient), ..view });
            if other.map(|rule| &rule.name) != rule.map(|rule| &rule.name) {
                return Err(Reason::AmbiguousPath);
            }
        }
        Ok(rule.map_or((DEFAULT_RULE, &self.default), |rule| (rule.name.as_str(), &rule.config)))
    }

    fn path_of(&self, method: &[u8], target: Option<&[u8]>) -> Result<Option<CanonicalPath>, Reason> {
        let reading = match target {
            // The one request without a path: RFC 9113, 8.5.
            None if method == b"CONNECT" => return Ok(None),
            None => return Err(Reason::MalformedPath),
            Some(target) => read_path(target),
        };
        match (reading, self.case) {
            (PathReading::Canonical(path), PathCase::Kept) => Ok(Some(path)),
            (PathReading::Canonical(path), PathCase::Folded) => Ok(Some(path.folded())),
            (PathReading::Ambiguous(_), _) => Err(Reason::AmbiguousPath),
            (PathReading::Refused(_), _) => Err(Reason::MalformedPath),
        }
    }

    fn admitted<'p>(
        &'p self,
        access: &'p Access,
        Grant { admission, once }: Grant<'p>,
        request: &View<'_>,
        claimed: &[&[u8]],
    ) -> Admitted<'p> {
        let mut edits: Vec<Edit<'p>> = Vec::with_capacity(claimed.len().saturating_add(4));
        if let Admission::Known { provider, holder, claims } = &admission {
            let identity = Identity {
                subject: encode_value(&holder.name),
                provider: &provider.name,
                scopes: holder.scopes.join(" "),
            };
            edits.extend(self.identity.edits_for(identity));
            if let Some(claims) = claims {
                edits.extend(self.identity.edits_for_claims(claims));
            }
            let hidden = access.providers().iter().filter(|provider| provider.hide);
            let sources = hidden.flat_map(|provider| provider.kind.examiner().sources());
            hide(sources, request.headers, &mut edits);
        }
        // What is set takes the place of all that had its name.
        let is_set =
            |name: &[u8]| edits.iter().any(|edit| matches!(edit, Edit::Set(set, _) if **set == *name));
        let removed = claimed.iter().filter(|name| !is_set(name));
        let removed: Vec<Edit<'p>> = removed.map(|name| Edit::Remove(name.to_vec().into())).collect();
        edits.extend(removed);
        Admitted { admission, once, edits }
    }
}

/// What access logs are told of a decision, as JSON: the rule, and who was recognised by which provider or why nobody was. `None` where nobody was
/// asked for, or has shown anything.
pub fn told(decision: &Decision<'_>) -> Option<String> {
    let mut text = String::with_capacity(128);
    let mut member = |before: &str, value: &str| {
        text.push_str(before);
        let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'%' | b'"' | b'\\');
        if value.bytes().all(plain) {
            text.push_str(value);
        } else {
            text.push_str(&encode_value(value).replace('\\', "\\\\").replace('"', "\\\""));
        }
    };
    member("{\"rule\":\"", decision.rule);
    match &decision.outcome {
        Ok(Admitted { admission: Admission::Known { provider, holder, .. }, .. }) => {
            member("\",\"provider\":\"", &provider.name);
            member("\",\"subject\":\"", &holder.name);
        }
        Err(Halt::Denied(denial)) => {
            if let Some(provider) = &denial.provider {
                member("\",\"provider\":\"", provider);
            }
            member("\",\"reason\":\"", denial.reason.label());
        }
        Ok(_) | Err(Halt::Awaits { .. }) => return None,
    }
    text.push_str("\"}");
    Some(text)
}

/// `:method`, `:path` and `:authority`, in one look at all headers.
fn pseudo_headers<'a>(headers: &[Header<'a>]) -> [Result<Option<&'a [u8]>, Flaw>; 3] {
    let [mut method, mut path, mut authority] = [Ok(None); 3];
    for (name, value) in headers {
        let (known, slot) = match (name.first(), name.len()) {
            (Some(b':'), 7) => (":method", &mut method),
            (Some(b':'), 5) => (":path", &mut path),
            (Some(b':'), 10) => (":authority", &mut authority),
            _ => continue,
        };
        if name.eq_ignore_ascii_case(known.as_bytes()) {
            *slot = if *slot == Ok(None) { Ok(Some(*value)) } else { Err(Flaw::Duplicate) };
        }
    }
    [method, path, authority]
}

/// Fetch, "CORS-preflight fetch": such a request never carries credentials.
fn is_preflight(headers: &[Header<'_>]) -> bool {
    let is_there = |name| only(headers, name).is_ok_and(|value| value.is_some_and(|value| !value.is_empty()));
    only(headers, ":method") == Ok(Some(b"OPTIONS"))
        && is_there("origin")
        && is_there("access-control-request-method")
}

/// Whether the proxy can be told this name: a token of up to 256 bytes.
fn is_removable(name: &[u8]) -> bool {
    name.len() <= 256 && name.iter().copied().all(is_token)
}

#[cfg(test)]
mod tests;
