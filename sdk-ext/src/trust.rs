//! Whether the peer may set headers that steer the proxy.

use crate::headers::{HeaderBlock, Only};
use serde::Deserialize;

/// Who may set a control header. Untrusted ones are removed and counted, not just ignored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trust {
    /// Requests that Envoy marked with `x-envoy-internal: true`. Meaningful only with `use_remote_address`: without it
    /// Envoy may call traffic from outside internal.
    #[default]
    Internal,
    Always,
    Never,
}

impl Trust {
    #[must_use]
    pub fn of(self, request: &HeaderBlock) -> bool {
        match self {
            Trust::Internal => request.only(crate::name!("x-envoy-internal")) == Only::One(b"true"),
            Trust::Always => true,
            Trust::Never => false,
        }
    }
}
