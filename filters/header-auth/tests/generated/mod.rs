//! Requests of chance, made from those of the kit of attacks by changing bytes, and what must hold of each: nothing traps, nobody
//! reaches a guarded place without a credential that was handed out, and no identity is one that the client brought.

mod oracle;
mod requests;
mod signed;
mod webhooks;

use std::{
    path::PathBuf,
    sync::{Arc, LazyLock},
    time::Duration,
};

use serde_json::{Value, json};
use wayside::{
    envoy_config,
    message::{Exchange, HeaderMap, Recording},
    proxy::{End, Outcome},
    replay::{self, Change, Options, Specs},
    scenario,
    trace::TraceLevel,
    upstream::Services,
    vm::Modules,
};
use wayside_attack::LAB;

pub(crate) use oracle::Oracle;
pub(crate) use requests::{Requests, Sent};

/// When tokens are minted, and when they are sent; seconds since 1970.
const NOW: u64 = 1_800_000_000;

/// One filter with the lab's configuration, as a module or as Rust.
pub(crate) struct Guarded {
    modules: Arc<Modules>,
    specs: Specs,
    /// The same configuration with other words in it, and one that is refused.
    others: [Specs; 2],
    template: Exchange,
    pub(crate) requests: Requests,
    pub(crate) oracle: Oracle,
}

impl Guarded {
    /// The module in this file.
    pub(crate) fn module(path: PathBuf) -> Guarded {
        Guarded::new(Modules::new(), &path.to_string_lossy())
    }

    /// The filter as Rust of this process.
    pub(crate) fn rust() -> Guarded {
        Guarded::new(Modules::new().natively("header_auth", header_auth::wayside_vm), "header_auth")
    }

    fn new(modules: Modules, file: &str) -> Guarded {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("envoy.json");
        let specs = |auth: &str| {
            std::fs::write(&path, configuration(file, auth).to_string()).expect("it can be written");
            Specs::Everywhere(Arc::new(envoy_config::load(&path).expect("a configuration").spec))
        };
        let with = |more: &str| LAB.0.replacen('{', &format!("{{{more},"), 1);
        let others = [r#""challenge_realm": "another""#, r#""allow_everybody": true"#].map(with);
        let requests = Requests::new(NOW);
        let oracle = Oracle::new(&requests);
        Guarded {
            modules: Arc::new(modules),
            specs: specs(LAB.0),
            others: others.map(|auth| specs(&auth)),
            template: template(),
            requests,
            oracle,
        }
    }

    /// Sends requests through one proxy and looks at what became of each.
    ///
    /// # Panics
    /// Something that must hold does not.
    pub(crate) fn check(&self, sent: &[Sent]) -> Counted {
        self.check_with(sent, &[])
    }

    /// The same while other configurations come and go: one that says the same otherwise, one that is refused, and the first.
    ///
    /// # Panics
    /// As there.
    #[allow(dead_code, reason = "the fuzzer has no use for it")]
    pub(crate) fn check_while_it_changes(&self, sent: &[Sent], times: u32) -> Counted {
        let [other, refused] = &self.others;
        let specs = [other, refused, &self.specs].into_iter().cycle();
        let step = Duration::from_millis(sent.len() as u64) / (times + 1);
        let changes = (1..=times).zip(specs).map(|(number, specs)| Change {
            at: step * number,
            specs: specs.clone(),
            drain: step,
        });
        self.check_with(sent, &changes.collect::<Vec<_>>())
    }

    fn check_with(&self, sent: &[Sent], changes: &[Change]) -> Counted {
        let exchanges = sent.iter().zip(1..).map(|(sent, number)| {
            let mut exchange = self.template.clone();
            exchange.id.number = number;
            exchange.timing.request_headers =
                Some(Duration::from_secs(NOW) + Duration::from_millis(u64::from(exchange.id.number - 1)));
            exchange.request.headers = headers(sent);
            if !sent.body.is_empty() {
                exchange.request.body = vec![sent.body.clone().into()];
            }
            exchange
        });
        let recording = Recording { exchanges: exchanges.collect(), ..Recording::default() };
        let options = Options { trace: TraceLevel::Off, ..Options::default() };
        let mut counted = Counted::default();
        let ended = |_, outcome: Outcome| {
            let sent = &sent[outcome.number];
            let passed = self.oracle.judge(sent, &outcome);
            counted.sent += 1;
            counted.passed += usize::from(passed);
            assert!(matches!(outcome.end, End::Complete), "{sent:?}: {:?}", outcome.end);
        };
        replay::replay_each(
            &self.modules,
            &self.specs,
            changes,
            recording,
            &options,
            |_| Services::default(),
            ended,
        )
        .expect("the filter takes its configuration");
        assert_eq!(counted.sent, sent.len(), "every request ends");
        counted
    }
}

/// How many requests there were, and how many came to the upstream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) sent: usize,
    pub(crate) passed: usize,
}

/// What a fuzzer's bytes say: some requests to one proxy, one after the other.
#[allow(dead_code, reason = "the tests make requests of chance their own way")]
pub(crate) fn case(bytes: &[u8]) {
    static GUARDED: LazyLock<Guarded> = LazyLock::new(Guarded::rust);
    let mut bytes = arbitrary::Unstructured::new(bytes);
    let mut sent = Vec::new();
    while !bytes.is_empty() && sent.len() < 16 {
        sent.extend(GUARDED.requests.changed(&mut bytes));
    }
    GUARDED.check(&sent);
}

fn headers(sent: &Sent) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in &sent.headers {
        headers.push(name.clone(), value.clone());
    }
    headers
}

/// An exchange whose request is replaced: a GET that was answered.
fn template() -> Exchange {
    let text = "about: one\nchain: []\nexchanges: [{ request: GET / }]\n";
    let replay = scenario::natively(text, &[]).expect("a scenario");
    let outcome = replay.outcomes().next().expect("one exchange");
    (*outcome.exchange).clone()
}

fn configuration(file: &str, auth: &str) -> Value {
    let wasm = json!({ "name": "header_auth", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
        "config": {
            "name": "header_auth",
            "allow_on_headers_stop_iteration": true,
            "configuration": { "@type": "type.googleapis.com/google.protobuf.StringValue", "value": auth },
            "vm_config": { "runtime": "envoy.wasm.runtime.v8", "code": { "local": { "filename": file } } },
        },
    } });
    let router = json!({ "name": "router", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
    } });
    let manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "in",
        "http_filters": [wasm, router],
        "route_config": { "virtual_hosts": [{ "name": "all", "domains": ["*"], "routes": [
            { "name": "every", "match": { "prefix": "" }, "route": { "cluster": "app" } },
        ] }] },
    });
    let address = |port: u16| json!({ "socket_address": { "address": "127.0.0.1", "port_value": port } });
    json!({ "node": { "id": "front" }, "static_resources": {
        "listeners": [{ "name": "in", "address": address(80), "filter_chains": [{ "filters": [
            { "name": "envoy.filters.network.http_connection_manager", "typed_config": manager },
        ] }] }],
        "clusters": [{ "name": "app", "type": "STATIC", "load_assignment": { "cluster_name": "app", "endpoints": [
            { "lb_endpoints": [{ "endpoint": { "address": address(8080) } }] },
        ] } }],
    } })
}
