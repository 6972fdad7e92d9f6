//! What the log shows is there for that callback.
use wayside_sdk::{HttpFilter, LogCx};

struct Filter<'a>(Option<&'a LogCx>);

impl HttpFilter for Filter<'static> {
    fn on_log(&mut self, cx: &LogCx) {
        self.0 = Some(cx);
    }
}

fn main() {}
