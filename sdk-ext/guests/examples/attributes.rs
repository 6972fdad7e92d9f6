//! Reads every attribute that Envoy has, when request headers come and when the stream is over.

use std::any::Any;
use std::rc::Rc;
use wayside_sdk::property::{self, Prop, PropValue, Visitor};
use wayside_sdk::{ConfigErrors, Flow, HttpFilter, Init, LogCx, Plugin, RequestHeaders, StreamInfo, log};

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {}

struct Attributes;
struct Stream;

impl Plugin for Attributes {
    const NAME: &'static str = "attributes";
    type Config = Config;
    type Filter = Stream;

    fn configure(_: Config, _: &mut Init) -> Result<Attributes, ConfigErrors> {
        Ok(Attributes)
    }

    fn stream(self: &Rc<Self>) -> Stream {
        Stream
    }
}

impl HttpFilter for Stream {
    fn on_request_headers(&mut self, request: RequestHeaders) -> Flow {
        property::visit(&mut Shown { phase: "request", stream: request.stream() });
        Flow::Continue
    }

    fn on_log(&mut self, cx: &LogCx) {
        property::visit(&mut Shown { phase: "log", stream: cx.stream() });
    }
}

struct Shown<'a> {
    phase: &'static str,
    stream: &'a StreamInfo,
}

/// Two runs never have the same.
const OF_ITS_OWN: [&str; 13] = [
    "_TIME",
    "DURATION",
    "LATENCY",
    "POOL_READY",
    "_PORT",
    "_ADDRESS",
    "CONNECTION_ID",
    "HEADERS",
    "TOTAL_SIZE",
    "NODE",
    "METADATA",
    "PLUGIN",
    "PEER_CERTIFICATE",
];

impl Visitor for Shown<'_> {
    fn attribute<T: PropValue>(&mut self, name: &'static str, property: &'static Prop<T>) {
        let phase = self.phase;
        match self.stream.get(property) {
            Ok(None) => {}
            Ok(Some(_)) if OF_ITS_OWN.iter().any(|part| name.contains(part)) => log!(Warn, "{phase} {name}"),
            Ok(Some(value)) => match (&value as &dyn Any).downcast_ref::<Vec<u8>>() {
                Some(text) => log!(Warn, "{phase} {name} {}", text.escape_ascii()),
                None => log!(Warn, "{phase} {name} {value:?}"),
            },
            Err(error) => log!(Warn, "{phase} {name} {error}"),
        }
    }
}

wayside_sdk::plugin!(Attributes);
