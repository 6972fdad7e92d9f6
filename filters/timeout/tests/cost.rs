//! What a request costs, counted: a change here is a change for every request of every proxy.

use wayside::scenario::{Allowed, check_cost_of_this_crate};

/// Bytes seen + 5 %, fuel seen + 10 %.
#[test]
fn a_request_costs_no_more_than_it_did() {
    let requests = [Allowed {
        scenario: "steady_rest",
        hostcalls: &[
            ("clock_time_get", 3),
            ("proxy_get_header_map_pairs", 1),
            ("proxy_get_property", 1),
            ("proxy_record_metric", 1),
            ("proxy_replace_header_map_value", 1),
            ("proxy_set_tick_period_milliseconds", 1),
        ],
        fuel: 0,
    }, Allowed { scenario: "steady_grpc", hostcalls: &[], fuel: 0 }];
    if let Err(told) = check_cost_of_this_crate(364_000, &requests) {
        panic!("{told}");
    }
}
