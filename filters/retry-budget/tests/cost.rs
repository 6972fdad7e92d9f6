//! What a request costs, counted: a change here is a change for every request of every proxy.

use wayside::scenario::{Allowed, check_cost_of_this_crate};

/// Bytes seen + 5 %, fuel seen + 10 %.
#[test]
fn a_request_costs_no_more_than_it_did() {
    let requests = [
        Allowed { scenario: "steady_rest", hostcalls: &[], fuel: 0 },
        Allowed { scenario: "outage_uses_the_budget_up", hostcalls: &[], fuel: 0 },
    ];
    if let Err(told) = check_cost_of_this_crate(1, &requests) {
        panic!("{told}");
    }
}
