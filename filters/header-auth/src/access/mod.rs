//! What a rule demands of a request, and whether the credentials on it meet that.

use std::rc::Rc;

use wayside_credentials::jose::{Claims, Wanted};

use crate::denial::{Denial, Reason};
use crate::kinds::{Awaited, Finding, Once, View};
use crate::means::Means;
use crate::provider::Provider;
use crate::source::only;
use crate::store::Holder;

#[derive(Clone, Debug)]
pub enum Require {
    /// Nothing: the request is open to all
    None,
    /// One good credential
    Any(Vec<Rc<Provider>>),
    /// A good credential for every provider; the first one names the caller
    All(Vec<Rc<Provider>>),
    /// None at all, or only good ones (RFC 9110, 11.6.2)
    Optional(Vec<Rc<Provider>>),
}

/// Further conditions on who was recognised. All that are given must hold.
#[derive(Clone, Debug, Default)]
pub struct Authorize {
    pub subjects: Option<Vec<String>>,
    pub scopes_all: Vec<String>,
    pub scopes_any: Option<Vec<String>>,
    pub methods: Option<Vec<String>>,
    pub claims: Vec<Wanted>,
}

/// One rule's demands.
#[derive(Clone, Debug)]
pub struct Access {
    pub require: Require,
    pub authorize: Option<Authorize>,
}

/// Whom a request was let through as.
#[derive(Clone, Debug)]
pub enum Admission<'a> {
    /// Nobody was asked
    Open,
    /// Asked, but nothing was shown
    Anonymous,
    Known {
        provider: &'a Provider,
        holder: Rc<Holder>,
        claims: Option<Rc<Claims>>,
    },
}

/// A request that meets its rule, once `once` could be spent.
#[derive(Clone, Debug)]
pub struct Grant<'a> {
    pub admission: Admission<'a>,
    pub once: Vec<Once>,
}

/// Why a request does not go on, for now or for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Halt {
    Denied(Denial),
    /// Once it has come, the request is decided about from the start
    Awaits {
        provider: String,
        awaited: Awaited,
    },
}

impl From<Denial> for Halt {
    fn from(denial: Denial) -> Self {
        Self::Denied(denial)
    }
}

type Findings<'a> = Vec<(&'a Provider, Finding)>;

impl Access {
    /// # Errors
    /// The first thing that stands against the request. A credential that is there but flawed always does.
    pub fn admit<'a>(
        &'a self,
        request: &View<'_>,
        means: &dyn Means,
        realm: &str,
    ) -> Result<Grant<'a>, Halt> {
        let findings: Findings<'a> =
            self.providers().iter().map(|provider| (&**provider, provider.examine(request, means))).collect();
        // Flaws first: a request that can be read in two ways is not weighed at all.
        if let Some((provider, reason)) = refusals(&findings).find(|(_, reason)| !is_weighed(*reason)) {
            return Err(refused(reason, provider).into());
        }
        let absent = findings.iter().any(|(_, finding)| *finding == Finding::Absent);
        match (&self.require, refusals(&findings).next()) {
            (Require::None, _) => return Ok(Grant { admission: Admission::Open, once: Vec::new() }),
            (Require::Any(_), refusal) => {
                if let Some(found) = known(&findings) {
                    return self.authorized(found, request);
                }
                waits(&findings)?;
                let (provider, reason) = refusal.unzip();
                let reason = reason.unwrap_or(Reason::Missing);
                return Err(unauthenticated(reason, provider, &findings, realm).into());
            }
            (Require::All(_) | Require::Optional(_), Some((provider, reason))) => {
                return Err(unauthenticated(reason, Some(provider), &findings, realm).into());
            }
            (Require::All(_), None) if absent => {
                return Err(unauthenticated(Reason::Missing, None, &findings, realm).into());
            }
            (Require::All(_) | Require::Optional(_), None) => waits(&findings)?,
        }
        let Some(first) = known(&findings) else {
            return Ok(Grant { admission: Admission::Anonymous, once: Vec::new() });
        };
        let once = findings.iter().filter_map(|(_, finding)| match finding {
            Finding::Valid(proof) => proof.once,
            Finding::Absent | Finding::Refused(_) | Finding::Awaits(_) => None,
        });
        self.authorized(Grant { once: once.collect(), ..first }, request)
    }

    pub fn providers(&self) -> &[Rc<Provider>] {
        match &self.require {
            Require::None => &[],
            Require::Any(providers) | Require::All(providers) | Require::Optional(providers) => providers,
        }
    }

    fn authorized<'a>(&self, grant: Grant<'a>, request: &View<'_>) -> Result<Grant<'a>, Halt> {
        let Some(authorize) = &self.authorize else {
            return Ok(grant);
        };
        match &grant.admission {
            Admission::Known { holder, claims, .. }
                if authorize.allows(holder, claims.as_deref()) && authorize.allows_method(request) =>
            {
                Ok(grant)
            }
            Admission::Known { provider, .. } => Err(refused(Reason::NotAuthorized, provider).into()),
            Admission::Open | Admission::Anonymous => Err(Denial::of(Reason::NotAuthorized).into()),
        }
    }
}

impl Authorize {
    /// `GET` is also `HEAD`, as in rules.
    fn allows_method(&self, request: &View<'_>) -> bool {
        let Some(methods) = &self.methods else { return true };
        let method = match only(request.headers, ":method") {
            Ok(Some(b"HEAD")) if methods.iter().any(|allowed| allowed == "GET") => return true,
            Ok(Some(method)) => method,
            _ => return false,
        };
        methods.iter().any(|allowed| allowed.as_bytes() == method)
    }

    fn allows(&self, holder: &Holder, claims: Option<&Claims>) -> bool {
        self.subjects.as_ref().is_none_or(|subjects| subjects.contains(&holder.name))
            && self.scopes_all.iter().all(|scope| holder.scopes.contains(scope))
            && self
                .scopes_any
                .as_ref()
                .is_none_or(|any| any.iter().any(|scope| holder.scopes.contains(scope)))
            && self.claims.iter().all(|wanted| claims.is_some_and(|claims| claims.has(wanted)))
    }
}

/// Whether another credential may still do where this is what is wrong with one.
fn is_weighed(reason: Reason) -> bool {
    matches!(reason.status(), 401 | 503)
}

fn refusals<'a>(findings: &Findings<'a>) -> impl Iterator<Item = (&'a Provider, Reason)> {
    findings.iter().filter_map(|(provider, finding)| match finding {
        Finding::Refused(reason) => Some((*provider, *reason)),
        Finding::Absent | Finding::Valid(_) | Finding::Awaits(_) => None,
    })
}

/// The first that was found good.
fn known<'a>(findings: &Findings<'a>) -> Option<Grant<'a>> {
    findings.iter().find_map(|(provider, finding)| match finding {
        Finding::Valid(proof) => {
            let (holder, claims) = (Rc::clone(&proof.holder), proof.claims.clone());
            let admission = Admission::Known { provider, holder, claims };
            Some(Grant { admission, once: proof.once.into_iter().collect() })
        }
        Finding::Absent | Finding::Refused(_) | Finding::Awaits(_) => None,
    })
}

/// The body first: while a request waits for keys, nobody can begin to wait for its body.
fn waits(findings: &Findings<'_>) -> Result<(), Halt> {
    let awaited = findings.iter().filter_map(|(provider, finding)| match finding {
        Finding::Awaits(awaited) => Some((provider, *awaited)),
        Finding::Absent | Finding::Valid(_) | Finding::Refused(_) => None,
    });
    match awaited.min_by_key(|(_, awaited)| *awaited == Awaited::Keys) {
        Some((provider, awaited)) => Err(Halt::Awaits { provider: provider.name.clone(), awaited }),
        None => Ok(()),
    }
}

fn refused(reason: Reason, provider: &Provider) -> Denial {
    Denial { provider: Some(provider.name.clone()), ..Denial::of(reason) }
}

fn unauthenticated(
    reason: Reason,
    provider: Option<&Provider>,
    findings: &Findings<'_>,
    realm: &str,
) -> Denial {
    let mut challenges: Vec<String> = Vec::new();
    for (provider, finding) in findings.iter().filter(|_| reason.status() == 401) {
        let refused = match finding {
            Finding::Refused(reason) => Some(*reason),
            Finding::Absent | Finding::Valid(_) | Finding::Awaits(_) => None,
        };
        let challenge = provider.kind.examiner().challenge(realm, refused);
        challenges.extend(challenge.filter(|challenge| !challenges.contains(challenge)));
    }
    Denial { reason, provider: provider.map(|provider| provider.name.clone()), challenges }
}

#[cfg(test)]
mod tests;
