//! Configuration that is right or refused: unknown fields, wrong types, duplicate keys and bad values are all errors
//! that name their place as a JSON pointer (RFC 6901).

mod checks;
pub(crate) mod de;
mod envelope;
#[cfg(any(test, feature = "testing"))]
pub mod hostile;
mod json;
mod overrides;
mod per_route;
mod quoted;
#[cfg(all(feature = "schema", not(target_arch = "wasm32")))]
pub mod schema;
mod version;

pub use checks::{Checks, ConfigError, ConfigErrors};
pub(crate) use de::listed;
pub use envelope::{Checked, Envelope, MetricsConfig, Mode, Selected};
pub use json::{document, read};
pub use overrides::Overrides;
pub use per_route::{KEPT_TEXTS, PerRoute, PerRouteError};
pub use quoted::Quoted;
pub use version::check_version;
pub use wayside_json::Json;
pub(crate) use wayside_json::child as below;

use serde::de::DeserializeOwned;

/// What a plugin takes as its configuration: any type serde can read, or an [`Envelope`].
pub trait Configuration: Sized {
    /// Reads the plugin's configuration, which may be a section of a document: pointers begin where it begins.
    ///
    /// # Errors
    /// The first field that serde refuses, or every value that a check refuses.
    fn from_json(json: &Json) -> Result<Self, ConfigErrors>;

    /// The same from text. No text at all counts as `{}`.
    ///
    /// # Errors
    /// Every duplicate key, or what [`from_json`](Self::from_json) refuses.
    fn parse(text: &[u8]) -> Result<Self, ConfigErrors> {
        Self::from_json(&document(text)?)
    }
}

impl<T: DeserializeOwned> Configuration for T {
    fn from_json(json: &Json) -> Result<T, ConfigErrors> {
        read(json, "")
    }
}
