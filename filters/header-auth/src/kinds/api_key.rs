//! StoredKeys that machines carry, in a header, a query parameter or a cookie.

use std::cell::OnceCell;
use std::rc::Rc;

use wayside_credentials::passwords::{KeyStore, NamedStore, Pepper, Verdicts};
use wayside_sdk::Checks;

use super::{Examine, Finding, View};
use crate::denial::Reason;
use crate::means::{Event, Means, Vm};
use crate::source::{Source, present};
use crate::store::Holder;

#[derive(Debug)]
pub struct ApiKeys {
    sources: Vec<Source>,
    keys: StoredKeys,
    /// The variable of the VM's environment that holds the pepper
    pepper_env: Option<String>,
    pepper: OnceCell<Pepper>,
}

#[derive(Debug)]
pub enum StoredKeys {
    /// Each names itself
    Whole(KeyStore<Rc<Holder>>),
    /// `id.secret`: the id says which, the secret is compared
    Named(NamedStore<Rc<Holder>>),
}

impl ApiKeys {
    pub fn new(sources: Vec<Source>, keys: StoredKeys, pepper_env: Option<String>) -> Self {
        Self { sources, keys, pepper_env, pepper: OnceCell::new() }
    }

    fn needs_pepper(&self) -> bool {
        match &self.keys {
            StoredKeys::Whole(keys) => keys.needs_pepper(),
            StoredKeys::Named(keys) => keys.needs_pepper(),
        }
    }
}

impl Examine for ApiKeys {
    fn arm(&self, vm: &dyn Vm, at: &mut Checks<'_>) {
        if let StoredKeys::Named(keys) = &self.keys
            && keys.is_slow()
        {
            keys.keep(vm.random().as_ref().and_then(Verdicts::new));
        }
        let Some(name) = self.pepper_env.as_ref().filter(|_| self.needs_pepper()) else {
            return;
        };
        let secret = vm.secret(name);
        match secret.as_ref().and_then(|secret| Pepper::new(secret.expose())) {
            Some(pepper) => drop(self.pepper.set(pepper)),
            None => {
                let found = if secret.is_some() { "a shorter one" } else { "none of that name" };
                at.at("pepper_env")
                    .refuse("a variable of at least 32 bytes in `vm_config.environment_variables`", found);
            }
        }
    }

    fn examine(&self, request: &View<'_>, means: &dyn Means) -> Finding {
        let key = match present(&self.sources, request.headers, request.max_credential_bytes) {
            Ok(None) => return Finding::Absent,
            Ok(Some(key)) => key,
            Err(flaw) => return flaw.into(),
        };
        let pepper = self.pepper.get();
        if pepper.is_none() && self.needs_pepper() {
            return Reason::Internal.into();
        }
        let verdict = match &self.keys {
            StoredKeys::Whole(keys) => keys.verify(&key, pepper, request.now),
            StoredKeys::Named(keys) => {
                let dot = key.iter().position(|byte| *byte == b'.').unwrap_or(key.len());
                // Without a dot there is no secret, and no stored one is empty.
                let (id, secret) = key.split_at_checked(dot).unwrap_or_default();
                if keys.is_slow() {
                    means.noticed(Event::Verifies);
                }
                let found = keys.verify(id, secret.get(1..).unwrap_or_default(), pepper, request.now);
                means.noticed_kept(found.kept);
                found.holder
            }
        };
        super::found(verdict)
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
