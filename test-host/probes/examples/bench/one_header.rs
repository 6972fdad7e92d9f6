//! The benchmark's one-header filter: a header looked up in a table.

use std::collections::HashMap;

use proxy_wasm::{
    hostcalls,
    traits::{Context, HttpContext, RootContext},
    types::{Action, ContextType, LogLevel, MapType},
};

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_root_context(|_| Box::new(Root));
}}

struct Root;

impl Context for Root {}

impl RootContext for Root {
    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Filter))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

thread_local! {
    static CLIENTS: HashMap<Vec<u8>, u32> =
        (0..101u32).map(|client| (format!("k-{client}").into_bytes(), client)).collect();
}

struct Filter;

impl Context for Filter {}

impl HttpContext for Filter {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        let key = hostcalls::get_map_value_bytes(MapType::HttpRequestHeaders, "x-api-key");
        let known = CLIENTS.with(|clients| clients.contains_key(&key.ok().flatten().unwrap_or_default()));
        if known { Action::Pause } else { Action::Continue }
    }
}
