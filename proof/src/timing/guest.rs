//! Instructions of the module, as wasmtime counts them.

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::{Context as _, ensure};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{digest, hmac};
use serde_json::{Value, json};
use wayside::{
    envoy_config,
    message::{Exchange, HeaderMap, Recording},
    proxy::Outcome,
    replay::{self, Options, Specs},
    scenario,
    trace::TraceLevel,
    upstream::Services,
    vm::{Metering, Modules},
};

use super::{Chance, Class, Samples};

/// At once, in one proxy.
const BATCH: usize = 5000;
/// So many requests make a VM define its metrics and find its memory.
const WARM: usize = 64;
/// 32 bytes; which of them the filter knows is what is varied.
const SECRETS: [&str; 2] =
    ["qM3sB0t9x2vYwLrT7uHdqM3sB0t9x2vYwLrT7uHdq_Q", "Zk8fJw2LpV5nXe-1RcTgZk8fJw2LpV5nXe-1RcTgZk8"];
const HMAC_KEYS: [&[u8]; 2] =
    [b"a secret of thirty-two bytes or more", b"another one of thirty-two and more!!"];
/// What two equal counts come to: samples are numbers from 0 on.
pub const EQUAL: u64 = 1_000_000;

type Made = dyn Fn(&mut Chance, Class) -> Vec<(&'static str, String)>;

/// A filter with one secret and the same with another, and what strangers show both. Whatever its own text costs, it costs with both.
pub struct Subject {
    configurations: [Value; 2],
    status: u16,
    headers: Box<Made>,
}

impl std::fmt::Debug for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subject").field("configurations", &self.configurations).finish_non_exhaustive()
    }
}

/// Providers of header-auth, all of which are asked.
fn header_auth(providers: &Value) -> Value {
    let names: Vec<&String> = providers.as_object().into_iter().flatten().map(|(name, _)| name).collect();
    json!({ "version": 1, "allow_plaintext": true, "providers": providers, "defaults": { "require": { "any": names } } })
}

fn sha256(text: &str) -> String {
    let digest = digest::digest(&digest::SHA256, text.as_bytes());
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Subject {
    /// Secrets after the id that says whose they are, of which none is looked for, and codes of tokens by HMAC: both at once.
    #[must_use]
    pub fn named_keys_and_codes() -> Subject {
        let part = |json: Value| URL_SAFE_NO_PAD.encode(json.to_string());
        let signed = format!(
            "{}.{}",
            part(json!({ "alg": "HS256", "kid": "k" })),
            part(json!({ "iss": "i", "sub": "s", "exp": 4_000_000_000_u64 }))
        );
        let right = HMAC_KEYS.map(|key| {
            URL_SAFE_NO_PAD.encode(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), signed.as_bytes()))
        });
        let configurations = [0, 1].map(|which: usize| {
            let keys = json!([{ "id": "acme", "sha256": sha256(SECRETS[which]) }]);
            let key = json!({ "kty": "oct", "kid": "k", "k": URL_SAFE_NO_PAD.encode(HMAC_KEYS[which]) });
            header_auth(&json!({
                "named": { "kind": "api_key", "form": "id.secret", "sources": [{ "header": "x-api-key" }], "keys": keys },
                "tokens": { "kind": "jwt", "issuer": "i", "jwks": { "keys": [key] } },
            }))
        });
        Subject {
            configurations,
            status: 401,
            headers: Box::new(move |chance, class| {
                let code = chance.wrong(class, right.each_ref().map(String::as_str));
                vec![
                    ("x-api-key", format!("acme.{}", chance.wrong(class, SECRETS))),
                    ("authorization", format!("Bearer {signed}.{code}")),
                ]
            }),
        }
    }

    /// Keys that are looked for by their digest.
    #[must_use]
    pub fn whole_keys() -> Subject {
        let configurations = SECRETS.map(|secret| {
            let keys = json!([{ "id": "acme", "sha256": sha256(secret) }, { "id": "other", "sha256": sha256("other") }]);
            let sources = json!([{ "header": "x-api-key" }]);
            header_auth(&json!({ "p": { "kind": "api_key", "sources": sources, "keys": keys } }))
        });
        Subject {
            configurations,
            status: 401,
            headers: Box::new(|chance, class| vec![("x-api-key", chance.wrong(class, SECRETS))]),
        }
    }

    /// What [`leaky`] compares byte by byte until one differs.
    #[must_use]
    pub fn leaky() -> Subject {
        Subject {
            configurations: [json!({}), json!({})],
            status: 200,
            headers: Box::new(|chance, class| vec![("x-api-key", chance.wrong(class, SECRETS))]),
        }
    }

    /// How many more instructions each of these requests takes with the one secret than with the other, and [`EQUAL`].
    ///
    /// # Errors
    /// A module cannot be run, or answers otherwise than it must.
    pub fn differences(&self, modules: [&Path; 2], samples: usize) -> anyhow::Result<Samples> {
        let [with, without] =
            [0, 1].map(|which| self.instructions(modules[which], &self.configurations[which], samples));
        let mut differences = Samples::default();
        for ((class, with), (_, without)) in with?.into_iter().zip(without?) {
            let difference = (EQUAL + with).checked_sub(without);
            differences.add(class, difference.context("more than a million instructions")?);
        }
        Ok(differences)
    }

    fn instructions(
        &self,
        module: &Path,
        configuration: &Value,
        samples: usize,
    ) -> anyhow::Result<Vec<(Class, u64)>> {
        let folder = tempfile::tempdir()?;
        let config = folder.path().join("envoy.json");
        std::fs::write(&config, envoy(module, configuration).to_string())?;
        let specs = Specs::Everywhere(Arc::new(envoy_config::load(&config)?.spec));
        let modules = Arc::new(Modules::metering_by(Metering::Fuel));
        let template = template()?;
        let mut chance = Chance::new(3);
        let mut counted = Vec::new();
        while counted.len() < samples {
            self.batch(&specs, &modules, &template, &mut chance, &mut counted)?;
        }
        Ok(counted)
    }

    fn batch(
        &self,
        specs: &Specs,
        modules: &Arc<Modules>,
        template: &Exchange,
        chance: &mut Chance,
        counted: &mut Vec<(Class, u64)>,
    ) -> anyhow::Result<()> {
        let classes: Vec<Class> = (0..WARM + BATCH).map(|_| chance.class()).collect();
        let exchanges = classes.iter().zip(1..).map(|(class, number)| {
            let mut exchange = template.clone();
            exchange.id.number = number;
            exchange.timing.request_headers = Some(Duration::from_secs(1_800_000_000));
            let line = [(":method", "GET"), (":path", "/"), (":scheme", "http"), (":authority", "shop")];
            let line = line.map(|(name, value)| (name, value.to_owned()));
            let mut headers = HeaderMap::new();
            for (name, value) in line.into_iter().chain((self.headers)(chance, *class)) {
                headers.push(name, value);
            }
            exchange.request.headers = headers;
            exchange
        });
        let recording = Recording { exchanges: exchanges.collect(), ..Recording::default() };
        let options = Options { trace: TraceLevel::Off, ..Options::default() };
        let mut wrong = None;
        let ended = |_, outcome: Outcome| {
            let answer = outcome.downstream_response.as_ref();
            let status = answer.and_then(|answer| answer.headers.first(b":status"));
            if status.is_none_or(|status| **status != *self.status.to_string().as_bytes()) {
                wrong = Some(format!("{status:?}, {:?}", outcome.details));
            }
            let fuel = outcome.usage.first().and_then(|(_, usage)| usage.fuel);
            if let (Some(class), Some(fuel)) = (classes.get(outcome.number), fuel)
                && outcome.number >= WARM
            {
                counted.push((*class, fuel));
            }
        };
        replay::replay_each(modules, specs, &[], recording, &options, |_| Services::default(), ended)?;
        ensure!(wrong.is_none(), "expected {}, found {wrong:?}", self.status);
        Ok(())
    }
}

/// An exchange whose request is replaced: a GET that was answered.
fn template() -> anyhow::Result<Exchange> {
    let replay = scenario::natively("about: one\nchain: []\nexchanges: [{ request: GET / }]\n", &[])?;
    let outcome = replay.outcomes().next().context("one exchange")?;
    Ok((*outcome.exchange).clone())
}

fn envoy(module: &Path, configuration: &Value) -> Value {
    let plugin = json!({
        "name": "filter",
        "configuration": { "@type": "type.googleapis.com/google.protobuf.StringValue", "value": configuration.to_string() },
        "vm_config": { "runtime": "envoy.wasm.runtime.v8", "code": { "local": { "filename": module } } },
    });
    let filter = |name: &str, typed: &str, more: Value| {
        let mut typed = json!({ "@type": format!("type.googleapis.com/envoy.extensions.filters.{typed}") });
        if let (Some(typed), Value::Object(more)) = (typed.as_object_mut(), more) {
            typed.extend(more);
        }
        json!({ "name": name, "typed_config": typed })
    };
    let wasm = filter("wasm", "http.wasm.v3.Wasm", json!({ "config": plugin }));
    let router = filter("router", "http.router.v3.Router", json!({}));
    let routes = json!({ "virtual_hosts": [{ "name": "all", "domains": ["*"], "routes": [
        { "match": { "prefix": "" }, "route": { "cluster": "app" } },
    ] }] });
    let manager = filter(
        "envoy.filters.network.http_connection_manager",
        "network.http_connection_manager.v3.HttpConnectionManager",
        json!({ "stat_prefix": "in", "http_filters": [wasm, router], "route_config": routes }),
    );
    let address = |port: u16| json!({ "socket_address": { "address": "127.0.0.1", "port_value": port } });
    json!({ "node": { "id": "front" }, "static_resources": {
        "listeners": [{ "name": "in", "address": address(80), "filter_chains": [{ "filters": [manager] }] }],
        "clusters": [{ "name": "app", "type": "STATIC", "load_assignment": { "cluster_name": "app", "endpoints": [
            { "lb_endpoints": [{ "endpoint": { "address": address(8080) } }] },
        ] } }],
    } })
}

/// The module with this number: it has one of the two secrets.
#[must_use]
pub fn leaky(which: usize) -> String {
    LEAKY.replace("SECRET", SECRETS[which % 2])
}

/// A filter that compares `x-api-key` with its secret as `==` may: so one can see that this is found.
const LEAKY: &str = r#"(module
  (import "env" "proxy_get_header_map_value" (func $get (param i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (data (i32.const 0) "x-api-key")
  (data (i32.const 16) "SECRET")
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_memory_allocate") (param i32) (result i32) i32.const 1024)
  (func (export "proxy_on_context_create") (param i32 i32))
  (func (export "proxy_on_vm_start") (param i32 i32) (result i32) i32.const 1)
  (func (export "proxy_on_configure") (param i32 i32) (result i32) i32.const 1)
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (local $at i32)
    (drop (call $get (i32.const 0) (i32.const 0) (i32.const 9) (i32.const 96) (i32.const 100)))
    (block $differs
      (loop $same
        (br_if $differs (i32.eq (local.get $at) (i32.const 43)))
        (br_if $differs (i32.ne
          (i32.load8_u (i32.add (i32.const 16) (local.get $at)))
          (i32.load8_u (i32.add (i32.load (i32.const 96)) (local.get $at)))))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br $same)))
    i32.const 0))"#;
