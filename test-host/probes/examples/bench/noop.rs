//! The benchmark's filter that does nothing with a request: what the SDK costs.

use proxy_wasm::{
    traits::{Context, HttpContext},
    types::{Action, LogLevel},
};

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_http_context(|_, _| Box::new(Filter { seen: false }));
}}

struct Filter {
    /// Kept so that there is something to call for.
    seen: bool,
}

impl Context for Filter {}

impl HttpContext for Filter {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        self.seen = true;
        Action::Continue
    }
}
