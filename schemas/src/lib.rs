//! The four filters' configurations: what each may hold, and what its reader makes of it.

use wayside_sdk::config::schema::{self, JsonSchema};
use wayside_sdk::{ConfigErrors, Configuration, Envelope};

/// A filter whose configuration is described.
#[derive(Clone, Copy, Debug)]
pub struct Filter {
    pub name: &'static str,
    /// Its schema as a document.
    pub schema: fn() -> String,
    /// What its reader makes of a document, shown.
    pub read: fn(&[u8]) -> Result<String, ConfigErrors>,
}

pub const FILTERS: [Filter; 4] = [
    Filter {
        name: "header-auth",
        schema: || text::<header_auth::schema::Document>("header-auth"),
        read: read::<header_auth::config::Config>,
    },
    Filter {
        name: "retry-budget",
        schema: || text::<retry_budget::schema::Document>("retry-budget"),
        read: read::<Envelope<retry_budget::config::Config>>,
    },
    Filter {
        name: "telemetry",
        schema: || text::<telemetry::schema::Document>("telemetry"),
        read: read::<telemetry::config::Config>,
    },
    Filter {
        name: "timeout",
        schema: || text::<timeout::schema::Document>("timeout"),
        read: read::<Envelope<timeout::config::Config>>,
    },
];

fn text<T: JsonSchema>(filter: &str) -> String {
    schema::text::<T>(filter)
}

fn read<C: Configuration + std::fmt::Debug>(text: &[u8]) -> Result<String, ConfigErrors> {
    C::parse(text).map(|config| format!("{config:?}"))
}
