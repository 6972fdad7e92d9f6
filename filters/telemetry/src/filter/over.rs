//! What is read of a request once it is over: no more than is told of it.

use std::time::Duration;

use wayside_sdk::Init;
use wayside_sdk::property::{
    self, CLUSTER_NAME, CONNECTION_MTLS, LISTENER_DIRECTION, Props, REQUEST_DURATION, REQUEST_PROTOCOL,
    REQUEST_SIZE, RESPONSE_CODE, RESPONSE_CODE_DETAILS, RESPONSE_FLAGS, RESPONSE_GRPC_STATUS, RESPONSE_SIZE,
    ROUTE_NAME, Slot, Together, UPSTREAM_ATTEMPTS,
};

use crate::config::{Metrics, Profile, Sampling};
use crate::istio::{self, Workload};

type Text = Option<Slot<Vec<u8>>>;
type Number = Option<Slot<u64>>;

/// What is asked for, and where it stands in the answer.
#[derive(Debug)]
pub(super) struct Over {
    pub duration: Slot<Duration>,
    pub status: Number,
    pub route: Text,
    pub details: Text,
    pub protocol: Text,
    pub request_size: Number,
    pub response_size: Number,
    pub attempts: Number,
    pub cluster: Text,
    pub flags: Number,
    pub direction: Number,
    pub mtls: Option<Slot<bool>>,
    pub principal: Text,
    /// The last: of gRPC requests only
    pub grpc_status: Number,
    pub plain: Together,
    pub grpc: Together,
    /// Of Istio's labels those that are the same for all requests
    pub own: Workload,
}

/// Which attributes are needed.
#[derive(Clone, Copy, Debug, Default)]
struct Needed {
    status: bool,
    route: bool,
    details: bool,
    protocol: bool,
    sizes: [bool; 2],
    attempts: bool,
    istio: [bool; istio::LABELS.len()],
    grpc_status: bool,
}

impl Needed {
    fn new(metrics: &Metrics, sampling: &Sampling) -> Needed {
        let also = metrics.also;
        let sizes = [also.request_body_size, also.response_body_size];
        let by_route = also.attempts || also.time_to_first_byte;
        let mut needed = match metrics.profile {
            Profile::Otel([_, status, route, error, protocol, _, grpc]) => Needed {
                status: status || error,
                route: route || by_route,
                details: error,
                protocol,
                sizes,
                attempts: also.attempts,
                grpc_status: grpc || error,
                ..Needed::default()
            },
            Profile::Istio(labels) => Needed {
                status: true,
                route: by_route,
                sizes: [true; 2],
                attempts: also.attempts,
                istio: labels,
                grpc_status: true,
                ..Needed::default()
            },
        };
        // What decides about the tail.
        if sampling.tail.is_some() {
            (needed.status, needed.details, needed.grpc_status) = (true, true, true);
        }
        needed
    }
}

impl Over {
    pub(super) fn new(metrics: &Metrics, sampling: &Sampling, init: &mut Init) -> Self {
        let needed = Needed::new(metrics, sampling);
        let istio =
            |label: &str| istio::LABELS.iter().zip(needed.istio).any(|(l, chosen)| *l == label && chosen);
        let mut asked = Props::new();
        let duration = asked.add(&REQUEST_DURATION);
        let status = needed.status.then(|| asked.add(&RESPONSE_CODE));
        let route = needed.route.then(|| asked.add(&ROUTE_NAME));
        let details = needed.details.then(|| asked.add(&RESPONSE_CODE_DETAILS));
        let protocol = needed.protocol.then(|| asked.add(&REQUEST_PROTOCOL));
        let [request, response] = needed.sizes;
        let request_size = request.then(|| asked.add(&REQUEST_SIZE));
        let response_size = response.then(|| asked.add(&RESPONSE_SIZE));
        let attempts = needed.attempts.then(|| asked.add(&UPSTREAM_ATTEMPTS));
        let service = istio("destination_service") || istio("destination_service_name");
        let cluster = service.then(|| asked.add(&CLUSTER_NAME));
        let flags = istio("response_flags").then(|| asked.add(&RESPONSE_FLAGS));
        let is_istio = needed.istio.contains(&true);
        let direction = is_istio.then(|| asked.add(&LISTENER_DIRECTION));
        let mtls = istio("connection_security_policy").then(|| asked.add(&CONNECTION_MTLS));
        let principal = istio("source_principal").then(|| asked.add(&property::CONNECTION_URI_SAN_PEER));
        let plain = init.together(asked.clone());
        let grpc_status = needed.grpc_status.then(|| asked.add(&RESPONSE_GRPC_STATUS));
        let grpc = init.together(asked);
        let own = if is_istio { workload(init) } else { Workload::default() };
        Self {
            duration,
            status,
            route,
            details,
            protocol,
            request_size,
            response_size,
            attempts,
            cluster,
            flags,
            direction,
            mtls,
            principal,
            grpc_status,
            plain,
            grpc,
            own,
        }
    }
}

/// Of the proxy's node; what it does not say is unknown.
fn workload(init: &mut Init) -> Workload {
    // A proxy without a node is a test's; what it does not know is no reason to refuse it.
    let mut text = |path| init.attribute(&property::custom(path)).ok().flatten().unwrap_or_default();
    Workload {
        name: text("xds\0node\0metadata\0WORKLOAD_NAME"),
        namespace: text("xds\0node\0metadata\0NAMESPACE"),
        app: text("xds\0node\0metadata\0LABELS\0app"),
    }
}
