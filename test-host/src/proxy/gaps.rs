//! What a spec asks for that this host does not carry out: told in every report, never passed over.

use super::spec::{ListenerSpec, ProxySpec};

/// A part of a spec that is not emulated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Where: proxy, listener, route or filter, by name.
    pub place: String,
    /// What that means for a replay.
    pub what: &'static str,
}

impl ProxySpec {
    /// All gaps, in the order of listeners.
    pub fn gaps(&self) -> Vec<Gap> {
        let mut gaps = Vec::new();
        for listener in &self.listeners {
            of_routes(&self.name, listener, &mut gaps);
            of_router(&self.name, listener, &mut gaps);
        }
        gaps
    }
}

fn of_routes(proxy: &str, listener: &ListenerSpec, gaps: &mut Vec<Gap>) {
    let at = |rest: &str| format!("{proxy}: listener {:?}: {rest}", listener.name);
    for host in listener.http.routes.virtual_hosts() {
        let retries = |route: &crate::router::Route| match &route.action {
            crate::router::RouteAction::Forward(forward) => forward.retry_policy.is_some(),
            crate::router::RouteAction::DirectResponse(_) | crate::router::RouteAction::Redirect(_) => false,
        };
        for route in host.routes.iter().filter(|route| retries(route) || host.retry_policy.is_some()) {
            gaps.push(Gap {
                place: at(&format!("route {:?}: retry_policy", route.name)),
                what: "carried out where an exchange says what each attempt is answered: a recorded answer is the final one, after as many attempts as its x-envoy-attempt-count says",
            });
        }
        if host.include_attempt_count_in_response {
            gaps.push(Gap {
                place: at(&format!("virtual host {:?}: include_attempt_count_in_response", host.name)),
                what: "where an answer was recorded, its x-envoy-attempt-count stays: none is added",
            });
        }
    }
}

fn of_router(proxy: &str, listener: &ListenerSpec, gaps: &mut Vec<Gap>) {
    for filter in listener.http.http_filters.filters() {
        let super::spec::FilterSpec::Router(router) = filter else {
            continue;
        };
        let mut gap = |what| {
            gaps.push(Gap {
                place: format!("{proxy}: listener {:?}: {}", listener.name, router.filter_name),
                what,
            });
        };
        if router.suppress_envoy_headers {
            gap("suppress_envoy_headers: x-envoy-expected-rq-timeout-ms is sent upstream all the same");
        }
        if router.respect_expected_rq_timeout {
            gap(
                "respect_expected_rq_timeout: a caller's x-envoy-expected-rq-timeout-ms does not bound the timeout",
            );
        }
    }
}
