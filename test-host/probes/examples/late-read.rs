//! On the SDK: reads a request header where Envoy no longer has it. Such a read panics, and a panic kills the VM.

use proxy_wasm::{
    traits::{Context, HttpContext},
    types::{Action, LogLevel},
};

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_http_context(|_, _| Box::new(LateRead));
}}

struct LateRead;

impl Context for LateRead {}

impl HttpContext for LateRead {
    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        let _ = self.get_http_request_header(":path");
        Action::Continue
    }
}
