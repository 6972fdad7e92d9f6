//! On the SDK: answers 504 from a tick when a stream is not through after 30 ms. The SDK leaves the root context effective
//! in a tick, so it has to be moved to the stream by hand.

use std::{cell::RefCell, collections::BTreeMap, time::Duration};

use proxy_wasm::{
    hostcalls,
    traits::{Context, HttpContext, RootContext},
    types::{Action, ContextType, LogLevel},
};

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_root_context(|_| Box::new(Deadlines));
}}

thread_local! {
    /// Age in ticks, by context.
    static LIVE: RefCell<BTreeMap<u32, u32>> = const { RefCell::new(BTreeMap::new()) };
}

struct Deadlines;

impl Context for Deadlines {}

impl RootContext for Deadlines {
    fn on_configure(&mut self, _: usize) -> bool {
        self.set_tick_period(Duration::from_millis(10));
        true
    }

    fn on_tick(&mut self) {
        let due: Vec<u32> = LIVE.with_borrow_mut(|live| {
            live.values_mut().for_each(|age| *age += 1);
            live.iter().filter(|(_, age)| **age == 3).map(|(id, _)| *id).collect()
        });
        for id in due {
            if hostcalls::set_effective_context(id).is_ok() {
                let _ = hostcalls::send_http_response(504, vec![], Some(b"too late"));
            }
        }
    }

    fn create_http_context(&self, id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream(id)))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

struct Stream(u32);

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        LIVE.with_borrow_mut(|live| live.insert(self.0, 0));
        Action::Continue
    }

    fn on_log(&mut self) {
        LIVE.with_borrow_mut(|live| live.remove(&self.0));
    }
}
