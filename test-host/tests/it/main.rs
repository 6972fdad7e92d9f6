//! One binary for all integration tests.

/// What a configuration becomes, and what is said about one that cannot be used.
mod envoy_config;
/// Which route a request takes, as Envoy chooses it.
mod routing;
