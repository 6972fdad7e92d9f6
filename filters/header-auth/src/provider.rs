//! A kind of credential under a name of the operator's.

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
}
