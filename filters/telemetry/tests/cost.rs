//! What a request costs, counted: a change here is a change for every request of every proxy.

use wayside::scenario::{Allowed, check_cost_of_this_crate};

/// Bytes seen + 5 %, fuel seen + 10 %.
#[test]
fn a_request_costs_no_more_than_it_did() {
    let allowed = |scenario, hostcalls, fuel| Allowed { scenario, hostcalls, fuel };
    let requests = [
        allowed("off", &[], 0),
        allowed("chosen_labels", &[], 0),
        allowed("steady_rest", &[], 0),
        allowed("steady_grpc", &[], 0),
    ];
    if let Err(told) = check_cost_of_this_crate(0, &requests) {
        panic!("{told}");
    }
}
