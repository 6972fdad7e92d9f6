//! The benchmark's four jobs in one filter: 14 hostcalls an exchange.
#![allow(dead_code, reason = "each guest uses some of the jobs")]

mod jobs;

use jobs::{Metrics, Telemetry};

use proxy_wasm::{
    traits::{Context, HttpContext, RootContext},
    types::{Action, ContextType, LogLevel},
};

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_root_context(|_| Box::new(Root { metrics: Metrics::define() }));
}}

struct Root {
    metrics: Metrics,
}

impl Context for Root {}

impl RootContext for Root {
    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Filter { telemetry: Telemetry::new(self.metrics) }))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

struct Filter {
    telemetry: Telemetry,
}

impl Context for Filter {}

impl HttpContext for Filter {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        jobs::authenticate();
        jobs::shorten_timeout();
        jobs::take_from_budget();
        self.telemetry.begin();
        Action::Continue
    }

    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        self.telemetry.end(jobs::status());
        Action::Continue
    }
}
