//! Keys that machines carry, in a header, a query parameter or a cookie.

use super::{Examine, Finding, View};
use crate::denial::Reason;
use crate::means::Means;
use crate::source::{Source, present};
use crate::store::KeyStore;

#[derive(Debug)]
pub struct ApiKeys {
    pub sources: Vec<Source>,
    pub keys: KeyStore,
}

impl Examine for ApiKeys {
    fn examine(&self, request: &View<'_>, _: &dyn Means) -> Finding {
        match present(&self.sources, request.headers, request.max_credential_bytes) {
            Ok(None) => Finding::Absent,
            Ok(Some(key)) => match self.keys.verify(&key, request.now) {
                Ok(holder) => holder.into(),
                Err(rejection) => Reason::from(rejection).into(),
            },
            Err(flaw) => flaw.into(),
        }
    }

    fn sources(&self) -> &[Source] {
        &self.sources
    }

    fn challenge(&self, realm: &str, refused: Option<Reason>) -> Option<String> {
        let scheme = self.sources.iter().find_map(|source| match source {
            Source::Scheme(scheme) => Some(scheme.as_str()),
            Source::Header(_) | Source::Query(_) | Source::Cookie(_) => None,
        });
        let scheme = scheme.unwrap_or("ApiKey");
        // RFC 6750, 3.1: no error code for a request that carried no token.
        let error = if refused.is_some() && scheme.eq_ignore_ascii_case("Bearer") {
            ", error=\"invalid_token\""
        } else {
            ""
        };
        Some(format!("{scheme} realm=\"{realm}\"{error}"))
    }
}
