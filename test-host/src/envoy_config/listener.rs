//! A listener and its HTTP connection manager (envoy/config/listener/v3/, …/http_connection_manager/v3/) →
//! [`ListenerSpec`].

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;

use super::{
    LoadOptions,
    metadata::{metadata, socket_address},
    network,
    raw::{Cursor, Fields, TypedConfig},
    route::route_table,
    upstream, wasm,
};
use crate::{
    message::Direction,
    proxy::spec::{
        CidrRange, DEFAULT_BUFFER_LIMIT, FilterChain, FilterSpec, HttpConnectionManagerSpec, ListenerSpec,
        PluginSpec, RouterSpec, ServerHeader, StreamTimeouts, TcpListenerSpec,
    },
};

const WASM: &str = "envoy.extensions.filters.http.wasm.v3.Wasm";
const ROUTER: &str = "envoy.extensions.filters.http.router.v3.Router";
const TAP: &str = "envoy.extensions.filters.http.tap.v3.Tap";
const DIRECTIONS: [(&str, i64, Direction); 3] = [
    ("UNSPECIFIED", 0, Direction::Unspecified),
    ("INBOUND", 1, Direction::Inbound),
    ("OUTBOUND", 2, Direction::Outbound),
];
const SERVER: [(&str, i64, u8); 3] =
    [("OVERWRITE", 0, 0), ("APPEND_IF_ABSENT", 1, 1), ("PASS_THROUGH", 2, 2)];
const LOGGING: &str = "access logs and traces are not written";
const RECORDED: &str = "the recording decides it";

/// `None`: no HTTP here, or wrong; both are recorded.
pub(super) fn listener(item: &Cursor<'_>, options: &LoadOptions) -> Option<Listener> {
    let fields = item.fields()?;
    fields.harmless("access_log", LOGGING);
    fields.harmless("stat_prefix", "statistics of the listener are not kept");
    let name = fields.owned_text("name");
    let direction = fields.get("traffic_direction").and_then(|field| field.choice(&DIRECTIONS));
    let address = fields.get("address").and_then(|field| ip_address(&field));
    let metadata = metadata(&fields);
    let buffer_limit: usize = fields
        .get("per_connection_buffer_limit_bytes")
        .map_or(Some(DEFAULT_BUFFER_LIMIT), |field| field.integer("a number of bytes"))?;
    let buffer_limit = Some(buffer_limit).filter(|limit| *limit > 0);
    let (filter_chain_name, chain) = filter_chain(&fields, options)?;
    let direction = direction.unwrap_or(Direction::Unspecified);
    Some(match chain {
        Chain::Http(http) => Listener::Http(Box::new(ListenerSpec {
            name,
            address,
            direction,
            filter_chain_name,
            metadata,
            buffer_limit,
            http: *http,
        })),
        Chain::Tcp { filters, cluster } => Listener::Tcp(TcpListenerSpec {
            name,
            address,
            direction,
            filter_chain_name,
            metadata,
            filters,
            cluster,
        }),
    })
}

/// A listener by what it speaks.
pub(super) enum Listener {
    Http(Box<ListenerSpec>),
    Tcp(TcpListenerSpec),
}

/// The end of a chain of network filters, and what stands before it.
pub(super) enum Chain {
    Http(Box<HttpConnectionManagerSpec>),
    Tcp { filters: Vec<PluginSpec>, cluster: String },
}

fn ip_address(field: &Cursor<'_>) -> Option<SocketAddr> {
    let (host, text, port) = socket_address(field)?;
    let address = text.parse().ok();
    if address.is_none() {
        host.wrong("an IP address");
    }
    address.map(|ip| SocketAddr::new(ip, port))
}

/// The first filter chain with an HTTP connection manager or a tcp_proxy, and its name.
fn filter_chain(listener: &Fields<'_>, options: &LoadOptions) -> Option<(String, Chain)> {
    let default = listener.get("default_filter_chain");
    let mut chosen = None;
    for chain in listener.list("filter_chains").into_iter().chain(default) {
        if chosen.is_some() {
            chain.not_emulated(
                "one filter chain a listener is emulated: the first with an HTTP connection manager or a tcp_proxy",
            );
            continue;
        }
        let Some(fields) = chain.fields() else { continue };
        fields
            .not_emulated("filter_chain_match", "connections are not matched: all traffic takes this chain");
        fields.harmless(
            "transport_socket",
            "nothing is encrypted here; what filters can know of TLS is the recording's to tell",
        );
        let name = fields.owned_text("name");
        chosen = network::chain(&fields.list("filters"), options).map(|chain| (name, chain));
    }
    match chosen {
        Some((name, chain)) => Some((name, chain?)),
        None => {
            listener
                .cursor()
                .not_emulated("neither an HTTP connection manager nor Wasm filters and a tcp_proxy: the listener is left out");
            None
        }
    }
}

/// The access loggers that are code; those that only write are left out.
fn access_loggers(manager: &Fields<'_>, options: &LoadOptions) -> Vec<PluginSpec> {
    let is_code = |logger: &&Cursor<'_>| {
        let logger = logger.json();
        let config = logger.get("typed_config").or_else(|| logger.get("typedConfig"));
        let of_type = config.and_then(|config| config["@type"].as_str());
        of_type.is_some_and(|name| name.ends_with(WASM_ACCESS_LOG))
    };
    let all = manager.list("access_log");
    let code: Vec<_> = all.iter().filter(is_code).collect();
    if code.is_empty() || code.len() < all.len() {
        manager.harmless("access_log", LOGGING);
    }
    code.into_iter().filter_map(|logger| access_logger(logger, options)).collect()
}

fn access_logger(logger: &Cursor<'_>, options: &LoadOptions) -> Option<PluginSpec> {
    let fields = logger.fields()?;
    fields.not_emulated("filter", "the condition is taken to hold: the logger hears of every stream");
    let name = fields.owned_text("name");
    let typed = TypedConfig::read(&fields.get("typed_config")?)?;
    wasm::plugin(&typed.fields, &name, options)
}

pub(super) fn connection_manager(
    fields: &Fields<'_>,
    options: &LoadOptions,
) -> Option<HttpConnectionManagerSpec> {
    for name in ["access_log_options", "tracing"] {
        fields.harmless(name, LOGGING);
    }
    let access_loggers = access_loggers(fields, options);
    for name in ["codec_type", "http_protocol_options", "http2_protocol_options"] {
        fields.harmless(name, RECORDED);
    }
    let routes = routes(fields);
    let ranges = fields.get("internal_address_config").map(|field| internal_addresses(&field));
    let http_filters = http_filters(fields, options);
    let timeouts = timeouts(fields);
    let server_header = server_header(fields);
    Some(HttpConnectionManagerSpec {
        stat_prefix: stat_prefix(fields)?,
        use_remote_address: fields.bool("use_remote_address").unwrap_or(false),
        preserve_external_request_id: fields.bool("preserve_external_request_id").unwrap_or(false),
        generate_request_id: fields.bool("generate_request_id").unwrap_or(true),
        internal_addresses: ranges.unwrap_or_default(),
        http_filters: http_filters?,
        access_loggers,
        routes: Arc::new(routes?),
        timeouts,
        server_header,
    })
}

fn timeouts(fields: &Fields<'_>) -> StreamTimeouts {
    let set = |timeout: &Duration| !timeout.is_zero();
    let idle = fields.get("stream_idle_timeout").and_then(|field| field.duration());
    let common = fields.get("common_http_protocol_options").and_then(|field| field.fields());
    let max_duration = common.as_ref().and_then(|common| {
        for name in ["idle_timeout", "max_connection_duration", "max_requests_per_connection"] {
            common.harmless(name, "connections are not emulated");
        }
        common.get("max_stream_duration")?.duration()
    });
    let default = StreamTimeouts::default();
    StreamTimeouts {
        idle: idle.map_or(default.idle, |idle| Some(idle).filter(set)),
        max_duration: max_duration.filter(set),
        request: fields.get("request_timeout").and_then(|field| field.duration()).filter(set),
    }
}

fn server_header(fields: &Fields<'_>) -> ServerHeader {
    let name = fields.text("server_name").filter(|name| !name.is_empty()).unwrap_or("envoy");
    let name = Bytes::copy_from_slice(name.as_bytes());
    let transformation = fields.get("server_header_transformation").and_then(|field| field.choice(&SERVER));
    match transformation.unwrap_or(0) {
        1 => ServerHeader::AppendIfAbsent(name),
        2 => ServerHeader::PassThrough,
        _ => ServerHeader::Overwrite(name),
    }
}

fn stat_prefix(fields: &Fields<'_>) -> Option<String> {
    let field = fields.required("stat_prefix", "a stat_prefix")?;
    let text = field.text()?;
    if text.is_empty() {
        field.wrong("a stat_prefix of at least one byte");
    }
    Some(text.to_owned())
}

fn routes(fields: &Fields<'_>) -> Option<crate::router::RouteTable> {
    match fields.one_of(&["route_config", "rds", "scoped_routes"]) {
        Some(("route_config", field)) => route_table(&field),
        Some((kind, field)) => {
            field.error(
                format!("routes to be discovered ({kind})"),
                "route_config: nothing is fetched here; write out the routes",
            );
            None
        }
        None => {
            fields.cursor().error("no routes", "a route_config");
            None
        }
    }
}

fn internal_addresses(field: &Cursor<'_>) -> Vec<CidrRange> {
    let Some(fields) = field.fields() else {
        return Vec::new();
    };
    fields.harmless("unix_sockets", "recorded peers have IP addresses");
    fields.list("cidr_ranges").iter().filter_map(cidr_range).collect()
}

fn cidr_range(item: &Cursor<'_>) -> Option<CidrRange> {
    let fields = item.fields()?;
    let address = fields.required("address_prefix", "an IP address")?;
    let length: u8 = fields.get("prefix_len").map_or(Some(0), |field| field.integer("a number of bits"))?;
    let range = address.text()?.parse().ok().and_then(|ip| CidrRange::new(ip, length));
    if range.is_none() {
        item.wrong("an address_prefix that is an IP address, with a prefix_len it has bits for");
    }
    range
}

const WASM_ACCESS_LOG: &str = "envoy.extensions.access_loggers.wasm.v3.WasmAccessLog";

fn http_filters(manager: &Fields<'_>, options: &LoadOptions) -> Option<FilterChain> {
    let items = manager.list("http_filters");
    let filters: Vec<_> = items.iter().map(|item| http_filter(item, options)).collect();
    // A filter that failed to load has its own error; the chain is judged by the rest.
    let complete = filters.iter().all(Result::is_ok);
    let filters = filters.into_iter().flatten().flatten().collect();
    FilterChain::new(filters)
        .map_err(|error| {
            let place = manager.get("http_filters").unwrap_or_else(|| manager.cursor().clone());
            place.error(format!("a chain that cannot work: {error}"), "filters, then one router");
        })
        .ok()
        .filter(|_| complete)
}

/// `Ok(None)`: left out of the chain; `Err`: wrong.
fn http_filter(item: &Cursor<'_>, options: &LoadOptions) -> Result<Option<FilterSpec>, ()> {
    let fields = item.fields().ok_or(())?;
    let name = fields.required("name", "the filter's name").and_then(|name| name.text()).ok_or(())?;
    fields.harmless("is_optional", "filters that are not known are left out anyway");
    if fields.bool("disabled") == Some(true) {
        drop(fields.get("typed_config"));
        item.not_emulated(format!("{name} is disabled and left out; routes that enable it are not emulated"));
        return Ok(None);
    }
    if let Some(field) = fields.get("config_discovery") {
        field.error("a filter to be discovered", "typed_config: nothing is fetched here");
        return Err(());
    }
    let config = fields.required("typed_config", "the filter's configuration").ok_or(())?;
    match TypedConfig::type_name_of(&config) {
        Some(WASM) => {
            let typed = TypedConfig::read(&config).ok_or(())?;
            let plugin = wasm::plugin(&typed.fields, name, options).ok_or(())?;
            Ok(Some(FilterSpec::Wasm(Box::new(plugin))))
        }
        Some(ROUTER) => {
            let typed = TypedConfig::read(&config).ok_or(())?;
            Ok(Some(FilterSpec::Router(router(&typed.fields, name, options)?)))
        }
        Some(TAP) => {
            config.harmless(format!("{name} only records; it is left out of the chain"));
            Ok(None)
        }
        Some(other) => {
            config.not_emulated(format!("{name} ({other}) is not emulated; it is left out of the chain"));
            Ok(None)
        }
        None => {
            config.error("no @type", "the message's type URL");
            Err(())
        }
    }
}

fn router(fields: &Fields<'_>, filter_name: &str, options: &LoadOptions) -> Result<RouterSpec, ()> {
    fields.harmless("upstream_log", LOGGING);
    fields.harmless("start_child_span", LOGGING);
    fields.harmless("dynamic_stats", "statistics of the router are not kept");
    Ok(RouterSpec {
        filter_name: filter_name.to_owned(),
        upstream_filters: upstream::chain(fields, "upstream_http_filters", options)?,
        suppress_envoy_headers: fields.bool("suppress_envoy_headers").unwrap_or(false),
        respect_expected_rq_timeout: fields.bool("respect_expected_rq_timeout").unwrap_or(false),
    })
}
