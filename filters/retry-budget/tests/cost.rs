//! What a request costs, counted: a change here is a change for every request of every proxy.

use wayside::scenario::{Allowed, check_cost_of_this_crate};

const GRANTED_AND_SUCCEEDED: Allowed<'_> = Allowed {
    scenario: "steady_rest",
    hostcalls: &[
        ("clock_time_get", 2),
        ("proxy_call_foreign_function", 1),
        ("proxy_get_header_map_pairs", 1),
        ("proxy_get_property", 2),
        ("proxy_record_metric", 1),
        ("proxy_replace_header_map_value", 1),
    ],
    fuel: 39_400,
};

/// What an outage costs: nothing to give, nothing to take back, and the caller is told; what the answer said of retries is read with it.
const DENIED_AND_FAILED: Allowed<'_> = Allowed {
    scenario: "outage_uses_the_budget_up",
    hostcalls: &[
        ("clock_time_get", 1),
        ("proxy_call_foreign_function", 1),
        ("proxy_get_header_map_pairs", 2),
        ("proxy_get_property", 2),
        ("proxy_get_shared_data", 1),
        ("proxy_increment_metric", 2),
        ("proxy_record_metric", 1),
        ("proxy_replace_header_map_value", 2),
    ],
    fuel: 27_100,
};

/// Bytes seen and a little, fuel seen + 10 %.
#[test]
fn a_request_costs_no_more_than_it_did() {
    if let Err(told) = check_cost_of_this_crate(163_600, &[GRANTED_AND_SUCCEEDED, DENIED_AND_FAILED]) {
        panic!("{told}");
    }
}
