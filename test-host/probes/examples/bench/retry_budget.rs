//! The benchmark's retry-budget sketch: 4 hostcalls.
#![allow(dead_code, reason = "each guest uses some of the jobs")]

mod jobs;

use proxy_wasm::{
    traits::{Context, HttpContext},
    types::{Action, LogLevel},
};

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_http_context(|_, _| Box::new(Filter { failed: false }));
}}

struct Filter {
    failed: bool,
}

impl Context for Filter {}

impl HttpContext for Filter {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        jobs::take_from_budget();
        Action::Continue
    }

    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        self.failed = jobs::status() >= 500;
        Action::Continue
    }
}
