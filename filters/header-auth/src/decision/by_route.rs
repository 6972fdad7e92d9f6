//! What routes ask for in their metadata, in the place of rules: the name of one, or a rule's `config` as JSON.

use std::fmt;

use wayside_sdk::config::Overrides;
use wayside_sdk::policy::Rules;
use wayside_sdk::{ConfigErrors, log};

use crate::access::Access;

/// The name under which a configuration counts that a route brought along.
const ROUTE_METADATA: &str = "route-metadata";

type Read = dyn Fn(&[u8]) -> Result<Access, ConfigErrors>;

pub struct ByRoute {
    /// Where routes keep it: `filter_metadata[namespace]["header_auth"]`
    pub namespace: String,
    /// Whether what cannot be understood is as if it were not there, which lets in whom it was to keep out
    pub passes_over: bool,
    read: Box<Read>,
    known: Overrides<Access>,
}

impl fmt::Debug for ByRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByRoute").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}

impl ByRoute {
    pub fn new(
        namespace: String,
        passes_over: bool,
        read: impl Fn(&[u8]) -> Result<Access, ConfigErrors> + 'static,
    ) -> Self {
        Self { namespace, passes_over, read: Box::new(read), known: Overrides::default() }
    }

    /// What this text asks for, with the name it counts under; `None` for what is neither a rule's name nor a configuration. Each text is read once.
    pub fn asked<'p>(&'p self, text: &[u8], rules: &'p Rules<Access>) -> Option<(&'p str, &'p Access)> {
        if !text.trim_ascii_start().starts_with(b"{") {
            let rule = rules.iter().find(|rule| rule.name.as_bytes() == text)?;
            return Some((&rule.name, &rule.config));
        }
        let access = self.known.get(text, |text| {
            let read = (self.read)(text);
            read.inspect_err(|errors| log!(Warn, "a route's configuration was refused: {errors}")).ok()
        });
        access.map(|access| (ROUTE_METADATA, access))
    }
}
