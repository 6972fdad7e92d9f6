//! The example `api-key` of sdk-ext's guests on the plain SDK, for the page `sdk-ext/FROM_PROXY_WASM.md`: the same job as its
//! documentation suggests to write it.

use proxy_wasm::hostcalls::{define_metric, increment_metric};
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, LogLevel, MetricType};
use std::rc::Rc;
use std::time::Duration;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    keys: Vec<String>,
    introspect: String,
}

struct ApiKey {
    config: Config,
    denied: u32,
}

struct Root(Option<Rc<ApiKey>>);

struct Stream(Rc<ApiKey>);

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_root_context(|_| Box::new(Root(None)));
}}

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, _: usize) -> bool {
        let text = self.get_plugin_configuration().unwrap_or_default();
        let Ok(config) = serde_json::from_slice(&text) else { return false };
        let Ok(denied) = define_metric(MetricType::Counter, "api_key_denied_total") else { return false };
        self.0 = Some(Rc::new(ApiKey { config, denied }));
        true
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream(self.0.clone()?)))
    }
}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        let Some(key) = self.get_http_request_header("x-key") else { return self.deny() };
        if self.0.config.keys.contains(&key) {
            return Action::Continue;
        }
        let cluster = &self.0.config.introspect;
        let headers =
            vec![(":method", "GET"), (":path", "/introspect"), (":authority", cluster), ("x-key", &key)];
        match self.dispatch_http_call(cluster, headers, None, vec![], Duration::from_millis(200)) {
            Ok(_) => Action::Pause,
            Err(_) => self.failed(),
        }
    }
}

impl Context for Stream {
    fn on_http_call_response(&mut self, _: u32, _: usize, _: usize, _: usize) {
        match self.get_http_call_response_header(":status").as_deref() {
            Some("200") => {
                self.set_http_request_header("x-verified", Some("1"));
                self.resume_http_request();
            }
            Some("401" | "403") => {
                self.deny();
            }
            _ => {
                self.failed();
            }
        }
    }
}

impl Stream {
    fn deny(&self) -> Action {
        let _ = increment_metric(self.0.denied, 1);
        self.send_http_response(401, vec![], None);
        Action::Pause
    }

    fn failed(&self) -> Action {
        self.send_http_response(503, vec![("retry-after", "1")], None);
        Action::Pause
    }
}
