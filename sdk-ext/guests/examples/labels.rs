//! Counts in a family: whatever the headers `x-route` and `x-source` say are the labels.

use std::rc::Rc;
use wayside_sdk::{
    ConfigErrors, CounterFamily, Flow, Histogram, HttpFilter, Init, Plugin, Reply, RequestHeaders, name,
};

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {}

struct Labels {
    requests: CounterFamily<2>,
    sizes: Histogram,
}

struct Stream(Rc<Labels>);

impl Plugin for Labels {
    const NAME: &'static str = "labels";
    type Config = Config;
    type Filter = Stream;

    fn configure(_: Config, init: &mut Init) -> Result<Labels, ConfigErrors> {
        let limit = init.series_limit("l7", 100)?;
        let requests = init.counter_family("l7_labelled_total", ["route", "source"], &limit);
        Ok(Labels { requests, sizes: init.histogram("l7_headers_bytes")? })
    }

    fn stream(self: &Rc<Self>) -> Stream {
        Stream(self.clone())
    }
}

impl HttpFilter for Stream {
    fn on_request_headers(&mut self, request: RequestHeaders) -> Flow {
        let Ok(headers) = request.headers.block() else { return Reply::new(503, "labels.no_headers").into() };
        let value = |name| headers.first(name).unwrap_or_default();
        self.0.requests.inc([value(name!("x-route")), value(name!("x-source"))]);
        self.0.sizes.record(request.headers.byte_size().unwrap_or_default() as u64);
        Reply::new(200, "labels.counted").into()
    }
}

wayside_sdk::plugin!(Labels);
