//! On the SDK: asks the cluster `auth` about each request; 200 lets it pass with what the answer said, all else refuses it.

use std::time::Duration;

use proxy_wasm::{
    traits::{Context, HttpContext},
    types::{Action, LogLevel},
};

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_http_context(|_, _| Box::new(Callout));
}}

struct Callout;

impl Context for Callout {
    fn on_http_call_response(&mut self, _: u32, _headers: usize, body: usize, _trailers: usize) {
        let status = self.get_http_call_response_header_bytes(":status");
        if status.as_deref() == Some(b"200") {
            let said = self.get_http_call_response_body(0, body).unwrap_or_default();
            self.set_http_request_header_bytes("x-user", Some(&said));
            self.resume_http_request();
        } else {
            self.send_http_response(403, vec![("x-why", "refused")], Some(b"no"));
        }
    }
}

impl HttpContext for Callout {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        let headers = vec![(":method", "GET"), (":path", "/check"), (":authority", "auth")];
        match self.dispatch_http_call("auth", headers, None, vec![], Duration::from_millis(50)) {
            Ok(_) => Action::Pause,
            Err(_) => {
                self.send_http_response(503, vec![], None);
                Action::Pause
            }
        }
    }
}
