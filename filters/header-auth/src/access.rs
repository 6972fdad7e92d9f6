//! What a rule demands of a request, and whether the credentials on it meet that.

use std::rc::Rc;

use crate::denial::{Denial, Reason};
use crate::provider::{Finding, Provider};
use crate::source::Header;
use crate::store::Holder;
use crate::timestamp::Timestamp;

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
}

/// One rule's demands.
#[derive(Clone, Debug)]
pub struct Access {
    pub require: Require,
    pub authorize: Option<Authorize>,
}

/// What every check of a request needs to know besides the rule.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    pub max_credential_bytes: usize,
    pub realm: &'a str,
    pub now: Timestamp,
}

/// Whom a request was let through as.
#[derive(Clone, Copy, Debug)]
pub enum Admission<'a> {
    /// Nobody was asked
    Open,
    /// Asked, but nothing was shown
    Anonymous,
    Known {
        provider: &'a Provider,
        holder: &'a Holder,
    },
}

impl Access {
    /// # Errors
    /// The first thing that stands against the request. A credential that is there but flawed always does.
    pub fn admit<'a>(&'a self, headers: &[Header<'_>], terms: &Terms<'_>) -> Result<Admission<'a>, Denial> {
        let findings: Vec<(&Provider, Finding<'_>)> = self
            .providers()
            .iter()
            .map(|provider| (&**provider, provider.examine(headers, terms.max_credential_bytes, terms.now)))
            .collect();
        let known = findings.iter().find_map(|(provider, finding)| match finding {
            Finding::Valid(holder) => Some(Admission::Known { provider, holder }),
            Finding::Absent | Finding::Rejected(_) | Finding::Flawed(_) => None,
        });
        let admission = match (&self.require, first_objection(&findings), known) {
            (Require::None, _, _) => Admission::Open,
            (_, Some(Objection { reason, provider, is_final: true }), _) => {
                return Err(Denial { reason, provider: Some(provider.to_owned()), challenges: Vec::new() });
            }
            (Require::Any(_), _, Some(known)) => known,
            (Require::Any(_) | Require::All(_) | Require::Optional(_), Some(objection), _) => {
                return Err(unauthenticated(objection.reason, Some(objection.provider), &findings, terms));
            }
            (Require::All(_), None, Some(known)) if findings.iter().all(|(_, finding)| is_valid(finding)) => {
                known
            }
            (Require::Optional(_), None, Some(known)) => known,
            (Require::Optional(_), None, None) => Admission::Anonymous,
            (Require::Any(_) | Require::All(_), None, _) => {
                return Err(unauthenticated(Reason::Missing, None, &findings, terms));
            }
        };
        self.authorized(admission)
    }

    pub fn providers(&self) -> &[Rc<Provider>] {
        match &self.require {
            Require::None => &[],
            Require::Any(providers) | Require::All(providers) | Require::Optional(providers) => providers,
        }
    }

    fn authorized<'a>(&self, admission: Admission<'a>) -> Result<Admission<'a>, Denial> {
        let Some(authorize) = &self.authorize else {
            return Ok(admission);
        };
        match admission {
            Admission::Known { holder, .. } if authorize.allows(holder) => Ok(admission),
            Admission::Known { provider, .. } => {
                Err(Denial { provider: Some(provider.name.clone()), ..Denial::of(Reason::NotAuthorized) })
            }
            Admission::Open | Admission::Anonymous => Err(Denial::of(Reason::NotAuthorized)),
        }
    }
}

impl Authorize {
    fn allows(&self, holder: &Holder) -> bool {
        self.subjects.as_ref().is_none_or(|subjects| subjects.contains(&holder.name))
            && self.scopes_all.iter().all(|scope| holder.scopes.contains(scope))
            && self
                .scopes_any
                .as_ref()
                .is_none_or(|any| any.iter().any(|scope| holder.scopes.contains(scope)))
    }
}

fn is_valid(finding: &Finding<'_>) -> bool {
    matches!(finding, Finding::Valid(_))
}

struct Objection<'a> {
    reason: Reason,
    provider: &'a str,
    /// Whether it stands whatever the other providers say
    is_final: bool,
}

/// Flaws first: a request that can be read in two ways is not weighed at all.
fn first_objection<'a>(findings: &[(&'a Provider, Finding<'_>)]) -> Option<Objection<'a>> {
    let flawed = findings.iter().find_map(|(provider, finding)| match finding {
        Finding::Flawed(flaw) => {
            Some(Objection { reason: Reason::from(*flaw), provider: &provider.name, is_final: true })
        }
        Finding::Absent | Finding::Valid(_) | Finding::Rejected(_) => None,
    });
    flawed.or_else(|| {
        findings.iter().find_map(|(provider, finding)| match finding {
            Finding::Rejected(rejection) => Some(Objection {
                reason: Reason::from(*rejection),
                provider: &provider.name,
                is_final: false,
            }),
            Finding::Absent | Finding::Valid(_) | Finding::Flawed(_) => None,
        })
    })
}

fn unauthenticated(
    reason: Reason,
    provider: Option<&str>,
    findings: &[(&Provider, Finding<'_>)],
    terms: &Terms<'_>,
) -> Denial {
    let mut challenges: Vec<String> = Vec::new();
    for (provider, finding) in findings {
        let challenge = provider.challenge(terms.realm, finding);
        if !challenges.contains(&challenge) {
            challenges.push(challenge);
        }
    }
    Denial { reason, provider: provider.map(str::to_owned), challenges }
}
