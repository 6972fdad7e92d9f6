//! One hostcall, as often as the configuration says: `number 40` or `bytes 10`. The slope is the price of a call.

use proxy_wasm::{
    hostcalls,
    traits::{Context, HttpContext, RootContext},
    types::{Action, ContextType, LogLevel, MapType, MetricType},
};

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_root_context(|_| Box::new(Root { bytes: false, times: 0, metric: 0 }));
}}

struct Root {
    bytes: bool,
    times: u32,
    metric: u32,
}

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, _: usize) -> bool {
        let configuration = self.get_plugin_configuration().unwrap_or_default();
        let text = String::from_utf8_lossy(&configuration);
        let (kind, times) = text.split_once(' ').unwrap_or_default();
        self.bytes = kind == "bytes";
        self.times = times.parse().unwrap_or(0);
        self.metric = hostcalls::define_metric(MetricType::Counter, "calls").unwrap_or(0);
        self.times > 0
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Filter { bytes: self.bytes, times: self.times, metric: self.metric }))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

struct Filter {
    bytes: bool,
    times: u32,
    metric: u32,
}

impl Context for Filter {}

impl HttpContext for Filter {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        for _ in 0..self.times {
            if self.bytes {
                let _ = hostcalls::get_map_value_bytes(MapType::HttpRequestHeaders, "x-api-key");
            } else {
                let _ = hostcalls::increment_metric(self.metric, 1);
            }
        }
        Action::Continue
    }
}
