//! A filter that is called with every request and does nothing with it: what the layer costs a request.

use std::rc::Rc;
use wayside_sdk::{ConfigErrors, Flow, HttpFilter, Init, Plugin, RequestHeaders, config::Json};

struct Noop;

struct Stream {
    /// Kept so that there is something to call for.
    seen: bool,
}

impl Plugin for Noop {
    const NAME: &'static str = "noop";
    type Config = Json;
    type Filter = Stream;

    fn configure(_: Json, _: &mut Init) -> Result<Noop, ConfigErrors> {
        Ok(Noop)
    }

    fn stream(self: &Rc<Self>) -> Stream {
        Stream { seen: false }
    }
}

impl HttpFilter for Stream {
    fn on_request_headers(&mut self, _: RequestHeaders) -> Flow {
        self.seen = true;
        Flow::Continue
    }
}

wayside_sdk::plugin!(Noop);
