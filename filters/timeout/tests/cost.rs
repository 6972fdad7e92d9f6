//! What a request costs, counted: a change here is a change for every request of every proxy.

use wayside::scenario::{Allowed, check_cost_of_this_crate};

/// One clock, one property that says whether the route has a configuration of its own; the tick that an earlier request asked for comes
/// before this one's deadline. An answer in time costs nothing.
const REST: Allowed<'_> = Allowed {
    scenario: "steady_rest",
    hostcalls: &[
        ("clock_time_get", 1),
        ("proxy_get_header_map_pairs", 1),
        ("proxy_get_property", 1),
        ("proxy_record_metric", 1),
        ("proxy_replace_header_map_value", 1),
    ],
    fuel: 17_200,
};

/// Two headers more: `grpc-timeout` is rewritten, the caller's expectation removed. As an Envoy's router marks so what it sends, one property says
/// that this is no attempt in an upstream chain.
const GRPC: Allowed<'_> = Allowed {
    scenario: "steady_grpc",
    hostcalls: &[
        ("clock_time_get", 1),
        ("proxy_get_header_map_pairs", 1),
        ("proxy_get_property", 2),
        ("proxy_record_metric", 1),
        ("proxy_remove_header_map_value", 1),
        ("proxy_replace_header_map_value", 2),
    ],
    fuel: 29_500,
};

const SWITCHED_OFF: Allowed<'_> = Allowed { scenario: "off", hostcalls: &[], fuel: 3_900 };

/// Bytes seen and a little, fuel seen + 10 %.
#[test]
fn a_request_costs_no_more_than_it_did() {
    if let Err(told) = check_cost_of_this_crate(169_200, &[REST, GRPC, SWITCHED_OFF]) {
        panic!("{told}");
    }
}
