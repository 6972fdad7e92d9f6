//! A cluster (envoy/config/cluster/v3/cluster.proto) → [`ClusterSpec`].

use std::{collections::BTreeMap, time::Duration};

use super::{
    LoadOptions,
    metadata::{locality, metadata, socket_address},
    raw::{Cursor, Fields},
    upstream,
};
use crate::{
    proxy::spec::{ClusterSpec, DEFAULT_MAX_RETRIES, Discovery, EndpointSpec, Locality},
    router::Metadata,
};

const DISCOVERY: [(&str, i64, Discovery); 5] = [
    ("STATIC", 0, Discovery::Static),
    ("STRICT_DNS", 1, Discovery::StrictDns),
    ("LOGICAL_DNS", 2, Discovery::LogicalDns),
    ("EDS", 3, Discovery::Eds),
    ("ORIGINAL_DST", 4, Discovery::OriginalDst),
];
/// The third value: whether requests may go there.
const HEALTH: [(&str, i64, bool); 6] = [
    ("UNKNOWN", 0, true),
    ("HEALTHY", 1, true),
    ("UNHEALTHY", 2, false),
    ("DRAINING", 3, false),
    ("TIMEOUT", 4, false),
    ("DEGRADED", 5, true),
];

/// All clusters by name; a name twice is an error.
pub(super) fn clusters(items: Vec<Cursor<'_>>, options: &LoadOptions) -> BTreeMap<String, ClusterSpec> {
    let mut clusters = BTreeMap::new();
    for item in items {
        let Some(cluster) = item.fields().and_then(|fields| cluster(&fields, options)) else {
            continue;
        };
        if clusters.contains_key(&cluster.name) {
            item.error(format!("a second cluster {:?}", cluster.name), "each cluster once");
        }
        clusters.insert(cluster.name.clone(), cluster);
    }
    clusters
}

fn cluster(fields: &Fields<'_>, options: &LoadOptions) -> Option<ClusterSpec> {
    const ANSWERS: &str = "the recording answers in place of the upstream connection";
    for name in ["transport_socket", "http2_protocol_options", "dns_lookup_family"] {
        fields.harmless(name, ANSWERS);
    }
    fields.harmless("lb_policy", "the recording answers whichever endpoint is chosen");
    fields.not_emulated("cluster_type", "custom clusters are not emulated");
    let name = fields.required("name", "the cluster's name").and_then(|name| name.text());
    let discovery = fields.get("type").and_then(|field| field.choice(&DISCOVERY));
    if let (Some(Discovery::Eds), Some(field)) = (discovery, fields.get("eds_cluster_config")) {
        field.not_emulated("endpoints discovered at run time are unknown here");
    }
    let upstream_filters = upstream::of_cluster(fields, options).ok()?;
    let connect_timeout = fields.get("connect_timeout").and_then(|field| field.duration());
    let load_assignment = fields.get("load_assignment").and_then(|field| field.fields());
    let endpoints = load_assignment.map(|assignment| endpoints(&assignment)).unwrap_or_default();
    Some(ClusterSpec {
        name: name?.to_owned(),
        discovery: discovery.unwrap_or(Discovery::Static),
        connect_timeout: connect_timeout.unwrap_or(Duration::from_secs(5)),
        endpoints,
        metadata: metadata(fields),
        upstream_filters,
        max_retries: fields
            .get("circuit_breakers")
            .and_then(|field| max_retries(&field))
            .unwrap_or(DEFAULT_MAX_RETRIES),
    })
}

/// Of the default priority: no route asks for another here.
fn max_retries(breakers: &Cursor<'_>) -> Option<u32> {
    const PRIORITY: [(&str, i64, bool); 2] = [("DEFAULT", 0, true), ("HIGH", 1, false)];
    let breakers = breakers.fields()?;
    let mut found = None;
    for threshold in breakers.list("thresholds") {
        let Some(fields) = threshold.fields() else { continue };
        for name in ["max_connections", "max_pending_requests", "max_requests", "max_connection_pools"] {
            fields.not_emulated(name, "connections and requests are not limited");
        }
        fields.not_emulated("retry_budget", "retries are limited by max_retries alone");
        fields.harmless("track_remaining", "statistics only");
        let is_default = fields.get("priority").and_then(|field| field.choice(&PRIORITY)).unwrap_or(true);
        let number = fields.get("max_retries").and_then(|field| field.integer("a number of retries"));
        if is_default && found.is_none() {
            found = number;
        }
    }
    found
}

fn endpoints(assignment: &Fields<'_>) -> Vec<EndpointSpec> {
    assignment.harmless("cluster_name", "statistics only");
    let mut endpoints = Vec::new();
    for group in assignment.list("endpoints") {
        let Some(group) = group.fields() else { continue };
        let locality = group.get("locality").and_then(|field| locality(&field)).unwrap_or_default();
        group.harmless("load_balancing_weight", "the recording answers whichever endpoint is chosen");
        group.harmless("priority", "the recording answers whichever endpoint is chosen");
        let of_locality = metadata(&group);
        let members = group.list("lb_endpoints");
        let members =
            members.iter().filter_map(|member| endpoint(&member.fields()?, &locality, of_locality.clone()));
        endpoints.extend(members);
    }
    endpoints
}

fn endpoint(member: &Fields<'_>, locality: &Locality, locality_metadata: Metadata) -> Option<EndpointSpec> {
    member.harmless("load_balancing_weight", "the recording answers whichever endpoint is chosen");
    let healthy = member.get("health_status").and_then(|field| field.choice(&HEALTH)).unwrap_or(true);
    let metadata = metadata(member);
    let endpoint = member.required("endpoint", "an endpoint with an address")?.fields()?;
    endpoint.harmless("hostname", "only used for health checks and TLS names");
    let (_, host, port) = socket_address(&endpoint.required("address", "the endpoint's address")?)?;
    let (host, locality) = (host.to_owned(), locality.clone());
    Some(EndpointSpec { host, port, healthy, locality, locality_metadata, metadata })
}
