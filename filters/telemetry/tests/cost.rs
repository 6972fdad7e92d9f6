//! What a request costs, counted: a change here is a change for every request of every proxy.

use wayside::scenario::{Allowed, check_cost_of_this_crate};

/// Bytes seen and a little, fuel seen + 10 %.
#[test]
fn a_request_costs_no_more_than_it_did() {
    let allowed = |scenario, hostcalls, fuel| Allowed { scenario, hostcalls, fuel };
    let requests = [
        allowed("off", &[], 3_800),
        // Duration, status, its details, route and protocol, with one call: what the labels say.
        allowed(
            "steady_rest",
            &[
                ("proxy_call_foreign_function", 1),
                ("proxy_get_header_map_pairs", 1),
                ("proxy_increment_metric", 3),
                ("proxy_record_metric", 1),
            ],
            19_500,
        ),
        allowed(
            "steady_grpc",
            &[
                ("proxy_call_foreign_function", 1),
                ("proxy_get_header_map_pairs", 1),
                ("proxy_increment_metric", 3),
                ("proxy_record_metric", 1),
            ],
            20_800,
        ),
        // Two labels that the headers answer.
        allowed(
            "few_labels",
            &[
                ("proxy_call_foreign_function", 1),
                ("proxy_get_header_map_pairs", 1),
                ("proxy_increment_metric", 3),
                ("proxy_record_metric", 1),
            ],
            12_200,
        ),
        // Metrics and propagation: the bar is twelve. Ids are drawn for 32 spans at once.
        allowed(
            "steady_trace",
            &[
                ("proxy_call_foreign_function", 1),
                ("proxy_get_header_map_pairs", 1),
                ("proxy_increment_metric", 3),
                ("proxy_record_metric", 1),
                ("proxy_replace_header_map_value", 1),
            ],
            30_000,
        ),
    ];
    if let Err(told) = check_cost_of_this_crate(260_000, &requests) {
        panic!("{told}");
    }
}
