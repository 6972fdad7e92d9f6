//! Secrets that both sides have: where they are kept, and how they are written there.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use wayside_sdk::{Checks, Redacted};

use crate::means::Vm;

/// A secret that is known once the VM has been asked.
#[derive(Clone, Debug)]
pub struct Shared {
    pub kept: Kept,
    pub encoding: Encoding,
}

#[derive(Clone, Debug)]
pub enum Kept {
    /// In the variable of this name of the VM's environment
    Variable(String),
    /// In the configuration
    Written(Redacted<String>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// As it is
    Text,
    /// With padding (RFC 4648, section 4)
    Base64,
    /// Without (section 5), as the `k` of a key in JSON
    Base64Url,
}

impl Shared {
    /// What `make` makes of its bytes. `at` is the entry that names it; what the VM lacks, what is not in its encoding and what cannot be made
    /// anything of is refused there.
    pub fn read<T>(
        &self,
        vm: &dyn Vm,
        expected: &str,
        make: impl FnOnce(&[u8]) -> Option<T>,
        at: &mut Checks<'_>,
    ) -> Option<T> {
        let bytes = self.bytes(vm);
        let made = bytes.as_ref().and_then(|bytes| make(bytes.expose()));
        if made.is_none() {
            self.refuse(expected, bytes.is_some(), vm, at);
        }
        made
    }

    fn bytes(&self, vm: &dyn Vm) -> Option<Redacted<Vec<u8>>> {
        let text = match &self.kept {
            Kept::Variable(name) => vm.secret(name)?,
            Kept::Written(text) => Redacted::new(text.expose().as_bytes().to_vec()),
        };
        match self.encoding {
            Encoding::Text => Some(text),
            Encoding::Base64 => STANDARD.decode(text.expose()).ok().map(Redacted::new),
            Encoding::Base64Url => URL_SAFE_NO_PAD.decode(text.expose()).ok().map(Redacted::new),
        }
    }

    fn refuse(&self, expected: &str, is_read: bool, vm: &dyn Vm, at: &mut Checks<'_>) {
        match &self.kept {
            Kept::Variable(name) if vm.secret(name).is_none() => {
                at.at("secret_env").refuse(IN_ENVIRONMENT, "none of that name");
            }
            kept => {
                let field = if matches!(kept, Kept::Variable(_)) { "secret_env" } else { "secret" };
                let found = if is_read { "another (not shown)" } else { "what is not in its `encoding`" };
                at.at(field).refuse(expected, found);
            }
        }
    }
}

const IN_ENVIRONMENT: &str = "a variable in `vm_config.environment_variables`";
