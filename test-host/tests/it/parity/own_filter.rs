//! A user's own filter, certified from a test: it agrees, and what does not agree is found.

use std::{path::Path, sync::Arc, time::Duration};

use serde_json::{Value, json};
use wayside::{
    build::Guest,
    message::{Connection, Direction, Exchange, ExchangeId, HeaderMap, Message, Origin, Timing},
    parity::{self, Cases, Certificate, Rules, Subject},
    upstream::Script,
};

use super::envoy;

/// The `script` probe as a filter of this name.
fn filter(name: &str, script: &str) -> Value {
    let probes = Path::new(env!("CARGO_MANIFEST_DIR")).join("probes");
    let guest = Guest::package("wayside-probes").example("script").manifest_dir(probes).build();
    let module = guest.expect("the probe builds").path;
    let text = json!({ "@type": "type.googleapis.com/google.protobuf.StringValue", "value": script });
    let wasm = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
        "config": {
            "name": name,
            "vm_config": { "runtime": "envoy.wasm.runtime.v8", "code": { "local": { "filename": module } } },
            "configuration": text,
        },
    });
    json!({ "name": name, "typed_config": wasm })
}

/// A configuration as a user would write it, with a filter, and one of the upstream's cluster if it has a script.
fn configuration(script: &str, upstream: Option<&str>) -> Value {
    let router = json!({ "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" });
    let manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "ingress",
        "http_filters": [filter("mine", script), { "name": "router", "typed_config": router }],
        "route_config": { "virtual_hosts": [{
            "name": "all",
            "domains": ["*"],
            "routes": [{ "match": { "prefix": "/" }, "route": { "cluster": "shop" } }],
        }] },
    });
    let cluster = |name: &str| {
        let address = json!({ "socket_address": { "address": "10.0.0.9", "port_value": 8080 } });
        json!({ "name": name, "type": "STATIC", "load_assignment": {
            "cluster_name": name,
            "endpoints": [{ "lb_endpoints": [{ "endpoint": { "address": address } }] }],
        } })
    };
    let mut shop = cluster("shop");
    if let Some(script) = upstream {
        const OPTIONS: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
        const CODEC: &str = "envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec";
        let of_type = |name: &str| format!("type.googleapis.com/{name}");
        let codec = json!({ "name": "codec", "typed_config": { "@type": of_type(CODEC) } });
        shop["typed_extension_protocol_options"] = json!({ OPTIONS: {
            "@type": of_type(OPTIONS),
            "explicit_http_config": { "http_protocol_options": {} },
            "http_filters": [filter("theirs", script), codec],
        } });
    }
    let filter = json!({ "name": "http", "typed_config": manager });
    json!({ "static_resources": {
        "listeners": [{
            "address": { "socket_address": { "address": "0.0.0.0", "port_value": 8000 } },
            "filter_chains": [{ "filters": [filter] }],
        }],
        "clusters": [shop, cluster("auth")],
    } })
}

fn exchange(path: &str) -> Exchange {
    let request = [
        (":authority", "shop"),
        (":path", path),
        (":method", "GET"),
        (":scheme", "http"),
        ("x-forwarded-proto", "http"),
        ("x-request-id", "6b1f9f0c-4f5e-4c1a-9d57-3a3f5d1e7a10"),
        ("x-envoy-internal", "true"),
    ];
    let response = [(":status", "200"), ("content-length", "2"), ("x-envoy-upstream-service-time", "0")];
    let headers = |fields: &[(&'static str, &str)]| {
        fields.iter().map(|(name, value)| (*name, (*value).to_owned())).collect::<HeaderMap>()
    };
    let response = Message { headers: headers(&response), body: vec!["ok".into()], trailers: None };
    Exchange {
        id: ExchangeId { proxy: Arc::from("shop"), direction: Direction::Unspecified, number: 1 },
        origin: Origin { file: Path::new("written by hand").into(), offset: 0, trace_id: 0 },
        request: Message { headers: headers(&request), ..Message::default() },
        response: Some(response),
        timing: Timing { request_headers: Some(Duration::ZERO), ..Timing::default() },
        connection: Connection::default(),
        answers: Vec::new(),
        notes: Vec::new(),
    }
}

async fn certificate(binary: &Path, script: &str, known: Rules) -> Certificate {
    certificate_of(binary, configuration(script, None), known).await
}

async fn certificate_of(binary: &Path, configuration: Value, known: Rules) -> Certificate {
    let folder = tempfile::tempdir().expect("a folder for the configuration");
    let file = folder.path().join("envoy.json");
    std::fs::write(&file, configuration.to_string()).expect("the folder is ours");
    let callouts = Script::parse("auth:\n  - answer: { status: 200, body: fine }\n").expect("it is a script");
    let cases = Cases::of([exchange("/a"), exchange("/b")]);
    let subject = Subject { callouts, known, ..Subject::new(file, cases) };
    parity::certify(binary, &subject).await.unwrap_or_else(|error| panic!("{error}"))
}

#[tokio::test]
async fn a_filter_that_calls_logs_and_counts_is_certified() {
    let Some(binary) = envoy::binary() else { return };
    let script = "configure: define 0 asked\n\
                  request_headers: increment 4 1; call_out auth 1000 /check; return 1\n\
                  callout: get callout :status; buffer callout 0; effective stream; continue request\n\
                  response_headers: add response x-mine yes";
    let certificate = certificate(&binary, script, Rules::default()).await;
    assert!(certificate.agrees(), "{}", certificate.text());
    assert_eq!((certificate.compared, certificate.reached_upstream, certificate.metrics), (2, 2, 1));
}

#[tokio::test]
async fn so_is_one_that_sees_each_attempt() {
    let Some(binary) = envoy::binary() else { return };
    let upstream = "request_headers: number upstream.request_attempt_count; add request x-attempt yes\n\
                    response_headers: get response x-envoy-upstream-service-time; add response x-attempted yes\n\
                    done: say done";
    let configuration = configuration("response_headers: get response x-attempted", Some(upstream));
    let certificate = certificate_of(&binary, configuration, Rules::default()).await;
    assert!(certificate.agrees(), "{}", certificate.text());
    assert_eq!((certificate.compared, certificate.reached_upstream), (2, 2));
}

#[tokio::test]
async fn what_differs_is_found_and_an_excuse_that_excuses_nothing_too() {
    let Some(binary) = envoy::binary() else { return };
    let certificate = certificate(&binary, "request_headers: random 8", Rules::default()).await;
    assert!(!certificate.agrees());
    let fields: Vec<&str> = certificate.differences.iter().map(|found| &found.field[..]).collect();
    assert_eq!(fields, ["log of the guests"; 2], "{}", certificate.text());

    let known = "- place: client_response\n  field: x-never\n  kind: value\n  reason: there was a time\n";
    let known = Rules::parse(known).expect("it is a rule");
    let certificate = self::certificate(&binary, "request_headers: get request x-a", known).await;
    assert!(certificate.differences.is_empty(), "{}", certificate.text());
    assert_eq!(certificate.stale_rules.len(), 1);
    assert!(!certificate.agrees());
}

#[tokio::test]
async fn a_configuration_that_does_not_load_is_an_error_with_its_place() {
    let Some(binary) = envoy::binary() else { return };
    let folder = tempfile::tempdir().expect("a folder for the configuration");
    let file = folder.path().join("envoy.json");
    std::fs::write(&file, "{ \"static_resources\": { \"listeners\": 7 } }").expect("the folder is ours");
    let subject = Subject::new(&file, Cases::of([exchange("/")]));
    let error = parity::certify(&binary, &subject).await.expect_err("there is nothing to compare");
    assert!(error.to_string().contains("static_resources.listeners"), "{error}");
}
