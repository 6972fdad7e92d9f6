//! The benchmark's header-auth sketch: 2 hostcalls.
#![allow(dead_code, reason = "each guest uses some of the jobs")]

mod jobs;

use proxy_wasm::{
    traits::{Context, HttpContext},
    types::{Action, LogLevel},
};

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_http_context(|_, _| Box::new(Filter));
}}

struct Filter;

impl Context for Filter {}

impl HttpContext for Filter {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        jobs::authenticate();
        Action::Continue
    }
}
