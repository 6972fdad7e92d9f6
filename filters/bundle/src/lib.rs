//! All filters as one module, in the order of a chain that makes sense of them:
//!
//! 1. telemetry, which so counts what the others refuse as it counts everything else;
//! 2. header-auth, so that nobody unknown starts a deadline or takes from a budget;
//! 3. timeout, so that a request without time left takes nothing from a budget either;
//! 4. retry-budget, last: what it grants is sent.

wayside_sdk::plugin!(
    telemetry::filter::Telemetry,
    header_auth::filter::HeaderAuth,
    timeout::filter::Timeout,
    retry_budget::filter::RetryBudget,
);
