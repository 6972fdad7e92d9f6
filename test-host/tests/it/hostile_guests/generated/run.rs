//! Runs a case twice and holds both runs to what must always be so.

use std::{
    path::Path,
    sync::{Arc, LazyLock},
    time::Duration,
};

use arbitrary::{Arbitrary, Unstructured};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use wayside::{
    clock::Seed,
    envoy_config,
    message::{Connection, Direction, Exchange, ExchangeId, HeaderMap, Message, Origin, Recording, Timing},
    proxy::spec::ProxySpec,
    replay::{self, Options, Replay, Specs},
    report::{Detail, Report},
    trace::{Entry, What},
    upstream::{CalloutAnswer, Services},
    vm::{Limits, Metering, Modules, import_table::AbiVersion},
};

use super::{
    case::{Callout, Case, Request},
    guest, statuses,
};

pub(super) static MODULES: LazyLock<Arc<Modules>> =
    LazyLock::new(|| Arc::new(Modules::metering_by(Metering::Fuel)));

/// Wall time of the first request.
const EPOCH: Duration = Duration::from_secs(1_767_225_600);
const LIMITS: Limits = Limits { memory: 4 << 20, time: Duration::from_secs(60), fuel: 200_000 };

/// Random hostcalls with random arguments in random callbacks under random streams.
///
/// # Panics
/// The host panicked, two runs differ, an exchange was lost, or a hostcall answered what Envoy cannot.
pub(crate) fn hostcalls(bytes: &[u8]) {
    let Ok(case) = Case::arbitrary(&mut Unstructured::new(bytes)) else { return };
    let code = STANDARD.encode(guest::wasm(case.version));
    let filters = ["a", "b"].map(|name| {
        let vm = if case.share_vm { "one" } else { name };
        filter(name, vm, &code, &case)
    });
    let [first, second] = [(); 2].map(|()| replayed(&MODULES, &filters.concat(), &case));
    match (first, second) {
        (Ok(first), Ok(second)) => {
            assert_eq!(printed(&first), printed(&second), "two runs differ");
            assert!(first == second, "two runs differ in what no report shows");
            assert_eq!(first.outcomes().count(), case.requests.len(), "an exchange was lost");
            only_possible_statuses(&first, case.version);
        }
        (Err(first), Err(second)) => assert_eq!(first, second, "two starts differ"),
        (first, second) => {
            panic!("one run starts, the other does not: {:?}, {:?}", first.err(), second.err())
        }
    }
}

/// What a case does, for who has to find out why it fails.
pub(crate) fn described(bytes: &[u8]) -> String {
    let Ok(case) = Case::arbitrary(&mut Unstructured::new(bytes)) else { return "no case".to_owned() };
    let (imports, callbacks) = (guest::imports(case.version), guest::callbacks(case.version));
    let records = case.records.iter().map(|record| {
        let callback = callbacks.get(usize::from(record.callback)).map_or("nested", |found| found.name);
        let operation = imports.get(usize::from(record.operation)).map_or("own", |found| found.name);
        format!("  {callback}: {operation} ({}) {:x?}\n", record.operation, record.arguments)
    });
    let records: String = records.collect();
    format!("{records}{:#?}", Case { records: Vec::new(), pool: Vec::new(), ..case })
}

/// A module of any bytes through inspection, load and, if it gets so far, a replay.
///
/// # Panics
/// As [`hostcalls`].
pub(crate) fn module(wasm: &[u8]) {
    // Nothing of it is kept: a fuzzer makes a new module each time.
    let modules = Arc::new(Modules::metering_by(Metering::Fuel));
    let Ok(_) = modules.load_bytes(Path::new("fuzzed.wasm"), wasm) else { return };
    let case = Case::arbitrary(&mut Unstructured::new(&wasm[wasm.len() / 2..]));
    let Ok(case) = case else { return };
    let filters = filter("a", "", &STANDARD.encode(wasm), &case);
    let [first, second] = [(); 2].map(|()| replayed(&modules, &filters, &case));
    match (first, second) {
        (Ok(first), Ok(second)) => assert_eq!(printed(&first), printed(&second), "two runs differ"),
        (Err(first), Err(second)) => assert_eq!(first, second, "two starts differ"),
        (first, second) => {
            panic!("one run starts, the other does not: {:?}, {:?}", first.err(), second.err())
        }
    }
}

fn filter(name: &str, vm: &str, code: &str, case: &Case) -> String {
    let Case { policy, stop_iteration, .. } = case;
    let script = STANDARD.encode(case.script());
    format!(
        r#"
          - name: {name}
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
              config:
                name: {name}
                {policy}
                allow_on_headers_stop_iteration: {stop_iteration}
                vm_config:
                  vm_id: "{vm}"
                  configuration: {{ "@type": type.googleapis.com/google.protobuf.BytesValue, value: "{script}" }}
                  code: {{ local: {{ inline_bytes: "{code}" }} }}"#
    )
}

fn bootstrap(filters: &str) -> String {
    format!(
        r#"
static_resources:
  listeners:
  - name: listener
    address: {{ socket_address: {{ address: 127.0.0.1, port_value: 10000 }} }}
    filter_chains:
    - filters:
      - name: hcm
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: ingress
          stream_idle_timeout: 2s
          route_config:
            name: routes
            virtual_hosts:
            - name: host
              domains: ["*"]
              routes: [{{ match: {{ prefix: "/" }}, route: {{ cluster: upstream, timeout: 0.05s }} }}]
          http_filters:{filters}
          - name: router
            typed_config: {{ "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }}
  clusters:
  - name: upstream
    load_assignment: {{ cluster_name: upstream, endpoints: [{{ lb_endpoints: [{{ endpoint: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: 1 }} }} }} }}] }}] }}
  - name: auth
    load_assignment: {{ cluster_name: auth, endpoints: [{{ lb_endpoints: [{{ endpoint: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: 2 }} }} }} }}] }}] }}
"#
    )
}

fn replayed(modules: &Arc<Modules>, filters: &str, case: &Case) -> Result<Replay, String> {
    let exchanges = case.requests.iter().zip(1u32..).map(|(request, number)| exchange(request, number));
    let recording = Recording { exchanges: exchanges.collect(), ..Recording::default() };
    let options = Options { seed: Seed(case.seed), limits: LIMITS, ..Options::default() };
    replay::replay(modules, &Specs::Everywhere(spec(filters)), recording, &options, |_| services(case))
        .map_err(|error| error.to_string())
}

pub(super) fn spec(filters: &str) -> Arc<ProxySpec> {
    let loaded = envoy_config::from_text(
        &bootstrap(filters),
        Path::new("envoy.yaml"),
        &envoy_config::LoadOptions::default(),
    );
    Arc::new(loaded.unwrap_or_else(|errors| panic!("{errors}")).spec)
}

fn services(case: &Case) -> Services {
    ["upstream", "auth"].into_iter().fold(Services::default(), |services, cluster| {
        let mut answers = case.callouts.clone().into_iter().cycle();
        services.with(cluster, move |_: &_| match answers.next() {
            Some(Callout::Answered { trailers, after_ms }) => {
                let headers = HeaderMap::from_iter([(":status", "200"), ("x-a", "1")]);
                let trailers = trailers.then(|| HeaderMap::from_iter([("x-t", "1")]));
                let body = vec![Bytes::from_static(b"answered")];
                let after = Duration::from_millis(after_ms.into());
                CalloutAnswer::Response { after, message: Message { headers, body, trailers } }
            }
            Some(Callout::Refused) => CalloutAnswer::ConnectFailure { after: Duration::from_millis(1) },
            Some(Callout::Reset) => CalloutAnswer::Reset { after: Duration::from_millis(2) },
            Some(Callout::Silent) => CalloutAnswer::Silence,
            Some(Callout::Hostless) | None => CalloutAnswer::NoHealthyHost,
        })
    })
}

fn exchange(request: &Request, number: u32) -> Exchange {
    let begins = EPOCH + Duration::from_millis(request.at_ms);
    let body = |chunks: &[usize]| chunks.iter().map(|len| Bytes::from(vec![b'x'; *len])).collect();
    let trailers = |there: bool| there.then(|| HeaderMap::from_iter([("x-t", "1")]));
    let kind = if request.grpc { "application/grpc" } else { "text/plain" };
    let headers = [
        (":authority", "shop"),
        (":path", "/x"),
        (":method", "POST"),
        (":scheme", "http"),
        ("content-type", kind),
        ("x-a", "1"),
    ];
    Exchange {
        id: ExchangeId { proxy: Arc::from("shop"), direction: Direction::Inbound, number },
        origin: Origin { file: Path::new("made").into(), offset: 0, trace_id: number.into() },
        request: Message {
            headers: HeaderMap::from_iter(headers),
            body: body(&request.chunks),
            trailers: trailers(request.trailers),
        },
        response: request.response.as_ref().map(|response| Message {
            headers: HeaderMap::from_iter([(":status".to_owned(), response.status.to_string())]),
            body: body(&response.chunks),
            trailers: trailers(response.trailers),
        }),
        answers: Vec::new(),
        timing: Timing {
            request_headers: Some(begins),
            response_headers: Some(begins + Duration::from_millis(request.latency_ms)),
            request_stalls: request.stalls,
            ..Timing::default()
        },
        connection: Connection::default(),
        notes: Vec::new(),
    }
}

/// Every form of the report, which must not break on anything either.
pub(super) fn printed(replay: &Replay) -> String {
    let report = Report::of(replay, Vec::new());
    let mut json = Vec::new();
    report.write_json(&mut json).expect("a vector takes everything");
    let text = report.text(Detail { each_exchange: true }).to_string();
    format!("{}\n{text}", String::from_utf8(json).expect("JSON is UTF-8"))
}

fn only_possible_statuses(replay: &Replay, version: AbiVersion) {
    let imports = guest::imports(version);
    let entries = replay.outcomes().flat_map(|outcome| &outcome.trace.entries);
    let outside = replay.proxies.iter().flat_map(|proxy| &proxy.outcome.trace.entries);
    for Entry { what, .. } in entries.chain(outside) {
        let What::Logged { text, .. } = what else { continue };
        let [guest::TELLS, operation, status] = text[..] else { continue };
        let Some(import) = imports.get(usize::from(operation)) else { continue };
        // What this host lacks answers 12, and the report says so.
        if replay.proxies.iter().any(|proxy| proxy.outcome.unimplemented.contains_key(import.name)) {
            continue;
        }
        let possible = statuses::possible(import.name);
        assert!(possible.contains(&status), "{} answered {status}, which Envoy cannot", import.name);
    }
}
