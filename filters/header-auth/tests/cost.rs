//! What a request costs, counted: a change here is a change for every request of every proxy.

use wayside::scenario::{Allowed, check_cost_of_this_crate};

/// Bytes seen and a little, fuel seen + 10 %.
#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn a_request_costs_no_more_than_it_did() {
    let allowed = |scenario, hostcalls, fuel| Allowed { scenario, hostcalls, fuel };
    let requests = [
        allowed("off", &[], 4_000),
        allowed(
            "steady_public",
            &[
                ("proxy_get_current_time_nanoseconds", 1),
                ("proxy_get_header_map_pairs", 1),
                ("proxy_get_property", 1),
                ("proxy_increment_metric", 1),
            ],
            12_000,
        ),
        allowed(
            "steady_key",
            &[
                ("proxy_get_current_time_nanoseconds", 1),
                ("proxy_get_header_map_pairs", 1),
                ("proxy_get_property", 1),
                ("proxy_increment_metric", 1),
                ("proxy_remove_header_map_value", 1),
                ("proxy_replace_header_map_value", 3),
                ("proxy_set_property", 1),
            ],
            33_400,
        ),
        allowed(
            "steady_basic",
            &[
                ("proxy_get_current_time_nanoseconds", 1),
                ("proxy_get_header_map_pairs", 1),
                ("proxy_get_property", 1),
                ("proxy_increment_metric", 1),
                ("proxy_remove_header_map_value", 1),
                ("proxy_replace_header_map_value", 2),
                ("proxy_set_property", 1),
            ],
            43_100,
        ),
        allowed(
            "steady_hmac",
            &[
                ("proxy_get_buffer_bytes", 1),
                ("proxy_get_current_time_nanoseconds", 2),
                ("proxy_get_header_map_pairs", 1),
                ("proxy_get_header_map_size", 1),
                ("proxy_get_property", 1),
                ("proxy_increment_metric", 1),
                ("proxy_remove_header_map_value", 1),
                ("proxy_replace_header_map_value", 2),
                ("proxy_set_property", 1),
            ],
            93_800,
        ),
        allowed(
            "steady_signed",
            &[
                ("proxy_get_buffer_bytes", 1),
                ("proxy_get_current_time_nanoseconds", 2),
                ("proxy_get_header_map_pairs", 1),
                ("proxy_get_header_map_size", 1),
                ("proxy_get_property", 1),
                ("proxy_increment_metric", 1),
                ("proxy_replace_header_map_value", 2),
                ("proxy_set_property", 1),
            ],
            // Verified once; twice were twice as much.
            3_229_000,
        ),
    ];
    if let Err(told) = check_cost_of_this_crate(640_000, &requests) {
        panic!("{told}");
    }
}
