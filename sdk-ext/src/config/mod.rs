//! Configuration that is right or refused: unknown fields, wrong types, duplicate keys and bad values are all errors
//! that name their place as a JSON pointer (RFC 6901).

mod checks;
pub(crate) mod de;
mod envelope;
#[cfg(any(test, feature = "testing"))]
pub mod hostile;
mod json;
mod overrides;
mod quoted;
#[cfg(all(feature = "schema", not(target_arch = "wasm32")))]
pub mod schema;
mod text;
mod version;

pub use checks::{Checks, ConfigError, ConfigErrors};
pub use envelope::{Checked, Envelope, MetricsConfig, Mode, Selected};
pub use json::Json;
pub use quoted::Quoted;
pub use version::parse_version;

use serde::de::DeserializeOwned;

/// What a plugin takes as its configuration: any type serde can read, or an [`Envelope`].
pub trait Configuration: Sized {
    /// Reads the plugin's configuration. No text at all counts as `{}`.
    ///
    /// # Errors
    /// Every duplicate key, or the first field that serde refuses, or every value that a check refuses.
    fn parse(text: &[u8]) -> Result<Self, ConfigErrors>;
}

impl<T: DeserializeOwned> Configuration for T {
    fn parse(text: &[u8]) -> Result<T, ConfigErrors> {
        Json::parse(text)?.read("")
    }
}
