//! A kind of credential under a name of the operator's.

use crate::denial::{Denial, Reason};
use crate::kinds::{Finding, Kind, View};
use crate::means::Means;

#[derive(Debug)]
pub struct Provider {
    pub name: String,
    pub kind: Kind,
    /// Whether the upstream must not see the credential
    pub hide: bool,
}

impl Provider {
    /// What its kind makes of a request.
    pub fn examine(&self, request: &View<'_>, means: &dyn Means) -> Finding {
        self.kind.examiner().examine(request, means)
    }

    /// What refuses a credential of this provider, after it was found good.
    pub fn denial(&self, reason: Reason, realm: &str) -> Denial {
        let challenge = self.kind.examiner().challenge(realm, Some(reason));
        let challenges = challenge.filter(|_| reason.status() == 401).into_iter().collect();
        Denial { reason, provider: Some(self.name.clone()), challenges }
    }
}
