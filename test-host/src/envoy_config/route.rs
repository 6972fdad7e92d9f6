//! A route configuration (envoy/config/route/v3/) → [`RouteTable`].

use std::time::Duration;

use bytes::Bytes;

use super::{
    metadata::metadata,
    raw::{Cursor, Fields},
    route_match::route_match,
};
use crate::router::{
    BackOff, ClusterChoice, DirectResponse, Forward, PathRedirect, Redirect, RetryOn, RetryPolicy, Route,
    RouteAction, RouteTable, VirtualHost, WeightedCluster,
};

const REDIRECT_STATUS: [(&str, i64, u16); 5] = [
    ("MOVED_PERMANENTLY", 0, 301),
    ("FOUND", 1, 302),
    ("SEE_OTHER", 2, 303),
    ("TEMPORARY_REDIRECT", 3, 307),
    ("PERMANENT_REDIRECT", 4, 308),
];

/// `None`: the table is unusable; that was recorded.
pub(super) fn route_table(field: &Cursor<'_>) -> Option<RouteTable> {
    let fields = field.fields()?;
    let name = fields.owned_text("name");
    let ignore_port = fields.bool("ignore_port_in_host_matching").unwrap_or(false);
    fields.harmless("validate_clusters", "clusters that routes name are always checked");
    let hosts = fields.list("virtual_hosts");
    let hosts = hosts.iter().filter_map(|host| virtual_host(&host.fields()?)).collect();
    RouteTable::new(name, ignore_port, hosts)
        .map_err(|error| {
            field.error(error.to_string(), "each domain in one virtual host, and at least one in each")
        })
        .ok()
}

fn virtual_host(fields: &Fields<'_>) -> Option<VirtualHost> {
    let name = fields.required("name", "the virtual host's name").and_then(|name| name.text());
    let domains =
        fields.list("domains").iter().filter_map(|domain| domain.text().map(str::to_owned)).collect();
    let routes =
        fields.list("routes").iter().filter_map(|item| route(&item.fields()?)).map(Into::into).collect();
    Some(VirtualHost {
        name: name?.to_owned(),
        domains,
        routes,
        retry_policy: fields.get("retry_policy").and_then(|policy| retry_policy(&policy)),
        include_request_attempt_count: fields.bool("include_request_attempt_count").unwrap_or(false),
        include_attempt_count_in_response: fields.bool("include_attempt_count_in_response").unwrap_or(false),
        buffer_limit: buffer_limit(fields),
        metadata: metadata(fields),
    })
}

fn route(fields: &Fields<'_>) -> Option<Route> {
    let name = fields.owned_text("name");
    let metadata = metadata(fields);
    fields.not_emulated(
        "typed_per_filter_config",
        "Wasm filters take none; for other filters it is not emulated",
    );
    let matches = fields.required("match", "what the route matches").and_then(|field| route_match(&field));
    let actions = ["route", "direct_response", "redirect", "non_forwarding_action", "filter_action"];
    let action = match fields.one_of(&actions) {
        Some(("route", field)) => forward(&field).map(RouteAction::Forward),
        Some(("direct_response", field)) => direct_response(&field).map(RouteAction::DirectResponse),
        Some(("redirect", field)) => redirect(&field).map(RouteAction::Redirect),
        Some((_, field)) => {
            field.not_emulated("this action is not emulated: the route is left out");
            None
        }
        None => {
            fields.cursor().error("no action", "route, direct_response or redirect");
            None
        }
    };
    Some(Route { name, matches: matches?, action: action?, buffer_limit: buffer_limit(fields), metadata })
}

fn buffer_limit(fields: &Fields<'_>) -> Option<usize> {
    let (_, field) = fields.one_of(&["request_body_buffer_limit", "per_request_buffer_limit_bytes"])?;
    field.integer("a number of bytes")
}

fn max_stream_duration(field: &Cursor<'_>) -> Option<Duration> {
    let fields = field.fields()?;
    fields.not_emulated("grpc_timeout_header_max", "grpc-timeout headers do not bound streams");
    fields.not_emulated("grpc_timeout_header_offset", "grpc-timeout headers do not bound streams");
    fields.get("max_stream_duration")?.duration()
}

fn forward(field: &Cursor<'_>) -> Option<Forward> {
    const DEFAULT_TIMEOUT: Duration = Duration::from_secs(15);
    let fields = field.fields()?;
    let timeout = fields.get("timeout").map_or(Some(DEFAULT_TIMEOUT), |field| field.duration())?;
    let retry_policy = fields.get("retry_policy").and_then(|policy| retry_policy(&policy));
    let cluster = match fields.one_of(&[
        "cluster",
        "cluster_header",
        "weighted_clusters",
        "cluster_specifier_plugin",
    ]) {
        Some(("cluster", field)) => ClusterChoice::Name(field.text()?.to_owned()),
        Some(("cluster_header", field)) => ClusterChoice::Header(field.text()?.to_ascii_lowercase()),
        Some(("weighted_clusters", field)) => weighted(&field)?,
        Some((_, field)) => {
            field.not_emulated("this choice of a cluster is not emulated: the route is left out");
            return None;
        }
        None => {
            field.error("no cluster", "cluster, cluster_header or weighted_clusters");
            return None;
        }
    };
    Some(Forward {
        cluster,
        timeout: Some(timeout).filter(|timeout| !timeout.is_zero()),
        retry_policy,
        hedge_on_per_try_timeout: fields.get("hedge_policy").is_some_and(|field| hedges(&field)),
        idle_timeout: fields.get("idle_timeout").and_then(|field| field.duration()),
        max_stream_duration: fields.get("max_stream_duration").and_then(|field| max_stream_duration(&field)),
    })
}

fn hedges(field: &Cursor<'_>) -> bool {
    let Some(fields) = field.fields() else { return false };
    fields.harmless("initial_requests", "Envoy does not read it");
    fields.harmless("additional_request_chance", "Envoy does not read it");
    fields.bool("hedge_on_per_try_timeout").unwrap_or(false)
}

fn weighted(field: &Cursor<'_>) -> Option<ClusterChoice> {
    let fields = field.fields()?;
    fields.harmless("total_weight", "Envoy takes the sum of the weights");
    let clusters: Vec<_> = fields.list("clusters").iter().filter_map(weighted_cluster).collect();
    if clusters.iter().all(|cluster| cluster.weight == 0) {
        field.error("weights that sum to 0", "at least one cluster with a weight");
        return None;
    }
    Some(ClusterChoice::Weighted(clusters))
}

fn weighted_cluster(item: &Cursor<'_>) -> Option<WeightedCluster> {
    let fields = item.fields()?;
    let name = fields.required("name", "a cluster's name")?.text()?.to_owned();
    let weight = fields.get("weight").map_or(Some(0), |weight| weight.integer("a weight"))?;
    Some(WeightedCluster { name, weight })
}

fn retry_policy(field: &Cursor<'_>) -> Option<RetryPolicy> {
    let fields = field.fields()?;
    let (retry_on, unknown) = RetryOn::parse_list(fields.text("retry_on").unwrap_or_default());
    if let (false, Some(field)) = (unknown.is_empty(), fields.get("retry_on")) {
        field.harmless(format!("Envoy ignores the unknown {}", unknown.join(", ")));
    }
    let codes = fields.list("retriable_status_codes");
    Some(RetryPolicy {
        retry_on,
        num_retries: fields
            .get("num_retries")
            .map_or(Some(1), |number| number.integer("a number of retries"))?,
        per_try_timeout: fields.get("per_try_timeout").and_then(|t| t.duration()).filter(|t| !t.is_zero()),
        retriable_status_codes: codes.iter().filter_map(|code| code.integer("a status")).collect(),
        back_off: fields.get("retry_back_off").and_then(|field| back_off(&field)).unwrap_or_default(),
    })
}

fn back_off(field: &Cursor<'_>) -> Option<BackOff> {
    let fields = field.fields()?;
    let base_interval = fields.required("base_interval", "a duration")?.duration()?;
    let max_interval =
        fields.get("max_interval").map_or(Some(base_interval * 10), |field| field.duration())?;
    if max_interval < base_interval {
        field.error("max_interval below base_interval", "max_interval at least as long as base_interval");
        return None;
    }
    Some(BackOff { base_interval, max_interval })
}

fn direct_response(field: &Cursor<'_>) -> Option<DirectResponse> {
    let fields = field.fields()?;
    let body = fields.get("body").and_then(|body| inline_body(&body)).unwrap_or_default();
    let status = fields.required("status", "a status from 200 to 599")?;
    let number: u16 = status.integer("a status from 200 to 599")?;
    if !(200..600).contains(&number) {
        status.wrong("a status from 200 to 599");
        return None;
    }
    Some(DirectResponse { status: number, body })
}

fn inline_body(field: &Cursor<'_>) -> Option<Bytes> {
    let fields = field.fields()?;
    fields.text("inline_string").map(|text| Bytes::copy_from_slice(text.as_bytes()))
}

fn redirect(field: &Cursor<'_>) -> Option<Redirect> {
    let fields = field.fields()?;
    let scheme = match fields.one_of(&["https_redirect", "scheme_redirect"]) {
        Some(("https_redirect", field)) => field.bool()?.then(|| "https".to_owned()),
        Some((_, field)) => Some(field.text()?.to_owned()),
        None => None,
    };
    let path = match fields.one_of(&["path_redirect", "prefix_rewrite", "regex_rewrite"]) {
        Some(("path_redirect", field)) => Some(PathRedirect::Whole(field.text()?.to_owned())),
        Some(("prefix_rewrite", field)) => Some(PathRedirect::Prefix(field.text()?.to_owned())),
        Some((_, field)) => {
            field.not_emulated("the path is left as it is");
            None
        }
        None => None,
    };
    let port: u16 = fields.get("port_redirect").map_or(Some(0), |field| field.integer("a port"))?;
    let status = fields.get("response_code").map_or(Some(301), |field| field.choice(&REDIRECT_STATUS))?;
    Some(Redirect {
        status,
        scheme,
        host: fields.text("host_redirect").filter(|host| !host.is_empty()).map(str::to_owned),
        port: Some(port).filter(|port| *port != 0),
        path,
        strip_query: fields.bool("strip_query").unwrap_or(false),
    })
}
