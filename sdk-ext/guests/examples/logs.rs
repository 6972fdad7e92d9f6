//! Writes records in every phase, and makes the request's id another one in between.

use std::rc::Rc;
use wayside_sdk::{
    ConfigErrors, Flow, HttpFilter, Init, LogCx, Plugin, Redacted, RequestHeaders, ResponseHeaders, log, name,
};

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    key: Redacted<String>,
    /// Whether request headers pass without a record.
    #[serde(default)]
    late: bool,
}

struct Logs(Config);
struct Stream(Rc<Logs>);

impl Plugin for Logs {
    const NAME: &'static str = "logs";
    type Config = Config;
    type Filter = Stream;

    fn configure(config: Config, _: &mut Init) -> Result<Logs, ConfigErrors> {
        log!(Info, "configured with {config:?}");
        Ok(Logs(config))
    }

    fn stream(self: &Rc<Self>) -> Stream {
        Stream(self.clone())
    }
}

impl HttpFilter for Stream {
    fn on_request_headers(&mut self, mut request: RequestHeaders) -> Flow {
        if !self.0.0.late {
            log!(Warn, "first, with a key of {} bytes: {}", self.0.0.key.expose().len(), self.0.0.key);
            let _ = request.headers.set(name!("x-request-id"), "another one");
            log!(Warn, "second");
        }
        Flow::Continue
    }

    fn on_response_headers(&mut self, _: ResponseHeaders) -> Flow {
        log!(Warn, "in the response");
        Flow::Continue
    }

    fn on_log(&mut self, _: &LogCx) {
        log!(Warn, "over");
        log!(Debug, "never seen");
    }
}

wayside_sdk::plugin!(Logs);
