//! The attributes a filter can read (`envoy-abi` 6): which exist in which phase, and how they are put in bytes.

use std::time::Duration;

use bytes::Bytes;

use super::{
    core::{Core, PluginIndex},
    stream_state::{FilterContext, StreamState},
};
use crate::{
    abi::{CallResult, CallStatus, pairs},
    message::{Direction, HeaderMap},
};

/// A value before it is put in bytes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Text(Bytes),
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    Map(Vec<(Bytes, Value)>),
    List(Vec<Value>),
}

impl Value {
    fn text(text: impl AsRef<[u8]>) -> Self {
        Value::Text(Bytes::copy_from_slice(text.as_ref()))
    }

    fn nanoseconds(time: Duration) -> Self {
        Value::Int(i64::try_from(time.as_nanos()).unwrap_or(i64::MAX))
    }

    /// Numbers take 8 bytes, little-endian; maps and lists the form of header maps.
    fn encode(&self) -> Bytes {
        match self {
            Value::Text(bytes) => bytes.clone(),
            Value::Bool(truth) => Bytes::copy_from_slice(&[u8::from(*truth)]),
            Value::Int(number) => Bytes::copy_from_slice(&number.to_le_bytes()),
            Value::Uint(number) => Bytes::copy_from_slice(&number.to_le_bytes()),
            Value::Double(number) => Bytes::copy_from_slice(&number.to_le_bytes()),
            Value::Map(entries) => {
                let encoded: Vec<_> = entries.iter().map(|(name, value)| (name, value.encode())).collect();
                pairs::encode(encoded.iter().map(|(name, value)| (&name[..], &value[..]))).into()
            }
            Value::List(items) => {
                let encoded: Vec<_> = items.iter().map(Value::encode).collect();
                pairs::encode(encoded.iter().map(|item| (&item[..], &b""[..]))).into()
            }
        }
    }

    fn descend(&self, path: &[&[u8]]) -> Option<&Value> {
        let Some((part, rest)) = path.split_first() else {
            return Some(self);
        };
        match self {
            Value::Map(entries) => entries.iter().find(|(name, _)| name == part)?.1.descend(rest),
            Value::List(items) => {
                items.get(std::str::from_utf8(part).ok()?.parse::<usize>().ok()?)?.descend(rest)
            }
            _ => None,
        }
    }
}

impl From<&serde_json::Value> for Value {
    /// Metadata as protobuf's `Struct` shows it: all numbers are doubles; null has no bytes.
    fn from(json: &serde_json::Value) -> Self {
        match json {
            serde_json::Value::Null => Value::Text(Bytes::new()),
            serde_json::Value::Bool(truth) => Value::Bool(*truth),
            serde_json::Value::Number(number) => Value::Double(number.as_f64().unwrap_or(f64::NAN)),
            serde_json::Value::String(text) => Value::text(text),
            serde_json::Value::Array(items) => Value::List(items.iter().map(Value::from).collect()),
            serde_json::Value::Object(fields) => Value::Map(
                fields.iter().map(|(name, value)| (name.clone().into(), Value::from(value))).collect(),
            ),
        }
    }
}

/// Reads the property at a path whose parts are separated by NUL.
pub(crate) fn get(
    core: &Core,
    plugin: PluginIndex,
    stream: Option<(&StreamState, &FilterContext)>,
    path: &[u8],
) -> CallResult<Bytes> {
    let path = path.strip_suffix(b"\0").unwrap_or(path);
    let parts: Vec<&[u8]> = path.split(|byte| *byte == 0).collect();
    if let [
        b"request" | b"response" | b"connection" | b"source" | b"destination" | b"upstream" | b"filter_state",
    ] = parts[..]
    {
        return Err(CallStatus::SerializationFailure);
    }
    let of_plugin = of_plugin(core, plugin, &parts);
    let value =
        of_plugin.or_else(|| stream.and_then(|(stream, filter)| of_stream(core, stream, filter, &parts)));
    value.map(|value| value.encode()).ok_or(CallStatus::NotFound)
}

/// What exists outside streams too.
fn of_plugin(core: &Core, plugin: PluginIndex, parts: &[&[u8]]) -> Option<Value> {
    let spec = &core.plugins[plugin.0].spec;
    match parts {
        [b"plugin_name"] => Some(Value::text(&spec.name)),
        [b"plugin_root_id"] => Some(Value::text(&spec.root_id)),
        [b"plugin_vm_id"] => Some(Value::text(&spec.vm.id)),
        [b"xds", b"node", rest @ ..] => {
            let node = &core.spec.node;
            let metadata = serde_json::Value::Object(node.metadata.clone());
            let fields = Value::Map(vec![
                ("id".into(), Value::text(&node.id)),
                ("cluster".into(), Value::text(&node.cluster)),
                ("metadata".into(), Value::from(&metadata)),
            ]);
            fields.descend(rest).cloned()
        }
        _ => None,
    }
}

fn of_stream(core: &Core, stream: &StreamState, filter: &FilterContext, parts: &[&[u8]]) -> Option<Value> {
    match parts {
        [b"request", rest @ ..] => request(core, stream, filter, rest),
        [b"response", rest @ ..] => response(stream, filter, rest),
        [b"source", rest @ ..] => address(stream.exchange.connection.remote, rest),
        [b"destination", rest @ ..] => address(stream.exchange.connection.local, rest),
        [b"connection", b"id"] | [b"connection_id"] => Some(Value::Uint(stream.exchange.id.number.into())),
        [b"connection", b"mtls"] => Some(Value::Bool(false)),
        [b"connection", b"requested_server_name"] => Some(Value::text("")),
        [b"upstream", rest @ ..] => upstream(core, stream, rest),
        [b"xds", rest @ ..] => xds(core, stream, rest),
        [b"filter_state", name] => {
            let key = name.strip_prefix(b"wasm.")?;
            stream.filter_state.get(key).cloned().map(Value::Text)
        }
        [name] => stream.filter_state.get(*name).cloned().map(Value::Text),
        _ => None,
    }
}

fn address(address: Option<std::net::SocketAddr>, rest: &[&[u8]]) -> Option<Value> {
    let address = address?;
    match rest {
        [b"address"] => Some(Value::text(address.to_string())),
        [b"port"] => Some(Value::Int(address.port().into())),
        _ => None,
    }
}

/// Header-based attributes follow the filter's own view of the request: gone once the headers have continued.
fn request(core: &Core, stream: &StreamState, filter: &FilterContext, rest: &[&[u8]]) -> Option<Value> {
    let headers = stream.request_headers().filter(|_| filter.request.headers || filter.logging);
    let header = |name: &[u8]| headers.and_then(|map| map.first(name)).cloned().map(Value::Text);
    match rest {
        [b"path"] => header(b":path"),
        [b"url_path"] => {
            let path = headers?.first(b":path")?;
            Some(Value::text(path.split(|byte| *byte == b'?').next().unwrap_or_default()))
        }
        [b"query"] => {
            let path = headers?.first(b":path")?;
            let query = path.iter().position(|byte| *byte == b'?').map_or(path.len(), |at| at + 1);
            Some(Value::text(&path[query..]))
        }
        [b"host"] => header(b":authority"),
        [b"scheme"] => header(b":scheme"),
        [b"method"] => header(b":method"),
        [b"referer"] => header(b"referer"),
        [b"useragent"] => header(b"user-agent"),
        [b"id"] => header(b"x-request-id"),
        [b"headers", name] => joined(headers?, name),
        [b"headers"] => Some(headers.map_or(Value::Map(Vec::new()), map)),
        [b"time"] => {
            Some(Value::nanoseconds(core.wall.saturating_sub(core.now.saturating_sub(stream.started))))
        }
        [b"protocol"] => Some(Value::text("HTTP/1.1")),
        [b"size"] => Some(Value::Int(i64::try_from(request_size(stream, filter)).unwrap_or(i64::MAX))),
        [b"duration"] if filter.logging => Some(Value::nanoseconds(core.now.saturating_sub(stream.started))),
        _ => None,
    }
}

fn request_size(stream: &StreamState, filter: &FilterContext) -> u64 {
    let declared = stream
        .request_headers()
        .filter(|_| filter.request.headers)
        .and_then(|headers| std::str::from_utf8(headers.first(b"content-length")?).ok()?.parse().ok());
    declared.unwrap_or(stream.manager.request.bytes_received)
}

fn response(stream: &StreamState, filter: &FilterContext, rest: &[&[u8]]) -> Option<Value> {
    let headers = stream.manager.response.headers.as_ref();
    let visible = headers.filter(|_| filter.response.headers || filter.logging);
    match rest {
        [b"code"] => {
            let status = headers?.first(b":status")?;
            std::str::from_utf8(status).ok()?.parse().ok().map(Value::Int)
        }
        [b"code_details"] if headers.is_some() || filter.logging => stream.details.clone().map(Value::Text),
        [b"flags"] => Some(Value::Int(i64::try_from(stream.response_flags).unwrap_or(i64::MAX))),
        [b"grpc_status"] => grpc_status(stream).map(Value::Int),
        [b"headers", name] => joined(visible?, name),
        [b"headers"] => Some(visible.map_or(Value::Map(Vec::new()), map)),
        [b"trailers", name] => {
            let trailers = stream.manager.response.trailers.as_ref();
            joined(trailers.filter(|_| filter.response.trailers || filter.logging)?, name)
        }
        [b"size"] => {
            Some(Value::Int(i64::try_from(stream.manager.response.bytes_received).unwrap_or(i64::MAX)))
        }
        [b"backend_latency"] if stream.route.answered.is_some() => {
            let sent = stream.route.sent?;
            Some(Value::nanoseconds(stream.route.answered?.saturating_sub(sent)))
        }
        _ => None,
    }
}

/// From the trailers, else the headers, else what the HTTP status amounts to.
fn grpc_status(stream: &StreamState) -> Option<i64> {
    let response = &stream.manager.response;
    let given = [response.trailers.as_ref(), response.headers.as_ref()]
        .into_iter()
        .flatten()
        .find_map(|map| std::str::from_utf8(map.first(b"grpc-status")?).ok()?.parse().ok());
    given.or_else(|| response.headers.as_ref().map(|_| 2))
}

fn upstream(core: &Core, stream: &StreamState, rest: &[&[u8]]) -> Option<Value> {
    match rest {
        [b"request_attempt_count"] => Some(Value::Uint(stream.route.attempts.into())),
        [b"address"] => {
            stream.route.sent?;
            let cluster = core.spec.clusters.get(stream.route.cluster()?)?;
            let endpoint = cluster.endpoints.iter().find(|endpoint| endpoint.healthy)?;
            Some(Value::text(format!("{}:{}", endpoint.host, endpoint.port)))
        }
        [b"transport_failure_reason"] if stream.route.sent.is_some() => Some(Value::text("")),
        _ => None,
    }
}

fn xds(core: &Core, stream: &StreamState, rest: &[&[u8]]) -> Option<Value> {
    let listener = core.spec.listeners.get(stream.listener)?;
    match rest {
        [b"listener_direction"] => return Some(Value::Int(direction_number(listener.direction))),
        [b"filter_chain_name"] => return Some(Value::text(&listener.filter_chain_name)),
        _ => {}
    }
    let chosen = stream.route.chosen()?;
    match rest {
        [b"cluster_name"] => stream.route.cluster().map(Value::text),
        [b"route_name"] => Some(Value::text(&chosen.route.name)),
        [b"virtual_host_name"] => Some(Value::text(&chosen.virtual_host.name)),
        [b"route_metadata"] => Some(Value::text(chosen.route.metadata.to_wire())),
        [b"route_metadata", b"filter_metadata", namespace, rest @ ..] => {
            let namespace = std::str::from_utf8(namespace).ok()?;
            let fields = serde_json::Value::Object(chosen.route.metadata.namespace(namespace)?.clone());
            Value::from(&fields).descend(rest).cloned()
        }
        _ => None,
    }
}

/// Envoy's `TrafficDirection`.
fn direction_number(direction: Direction) -> i64 {
    match direction {
        Direction::Unspecified => 0,
        Direction::Inbound => 1,
        Direction::Outbound => 2,
    }
}

/// Duplicates are joined by commas, `set-cookie` included, as Envoy's attributes do.
fn joined(headers: &HeaderMap, name: &[u8]) -> Option<Value> {
    let values: Vec<&[u8]> = headers.all(name).map(|value| &value[..]).collect();
    if values.is_empty() { None } else { Some(Value::Text(values.join(&b","[..]).into())) }
}

fn map(headers: &HeaderMap) -> Value {
    Value::Map(headers.iter().map(|h| (h.name.clone(), Value::Text(h.value.clone()))).collect())
}
