//! Reads attributes together when request headers come and when the stream is over, and says what it got.

use std::rc::Rc;
use wayside_sdk::property::{self, Prop, Props, Slot, Together};
use wayside_sdk::{
    ConfigErrors, Flow, HttpFilter, Init, LogCx, Plugin, RequestHeaders, StreamInfo, config::Json, log,
};

struct Reader {
    together: Together,
    code: Slot<u64>,
    route: Slot<Vec<u8>>,
    cluster: Slot<Vec<u8>>,
    weight: Slot<f64>,
}
struct Stream(Rc<Reader>);

/// A number in the route's metadata, under a name that is no identifier.
const WEIGHT: Prop<f64> = property::attribute("xds\0route_metadata\0filter_metadata\0shop.weights\0it's");

impl Plugin for Reader {
    const NAME: &'static str = "together";
    type Config = Json;
    type Filter = Stream;

    fn configure(_: Json, init: &mut Init) -> Result<Reader, ConfigErrors> {
        let mut props = Props::new();
        let (code, route) = (props.add(&property::RESPONSE_CODE), props.add(&property::ROUTE_NAME));
        let (cluster, weight) = (props.add(&property::CLUSTER_NAME), props.add(&WEIGHT));
        Ok(Reader { together: init.together(props), code, route, cluster, weight })
    }

    fn stream(self: &Rc<Self>) -> Stream {
        Stream(self.clone())
    }
}

impl HttpFilter for Stream {
    fn on_request_headers(&mut self, request: RequestHeaders) -> Flow {
        self.0.tell("request", request.stream());
        Flow::Continue
    }

    fn on_log(&mut self, cx: &LogCx) {
        self.0.tell("log", cx.stream());
    }
}

impl Reader {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "such a cast saturates")]
    fn tell(&self, phase: &str, stream: &StreamInfo) {
        match stream.read(&self.together) {
            Ok(values) => log!(
                Info,
                "{phase}: code {:?}, route {:?}, cluster {:?}, weight {:?}",
                values.get(self.code),
                values.text(self.route).escape_ascii().to_string(),
                values.text(self.cluster).escape_ascii().to_string(),
                values.get(self.weight).map(|weight| weight.map(|weight| weight as u64)),
            ),
            Err(error) => log!(Error, "{phase}: {error}"),
        }
    }
}

wayside_sdk::plugin!(Reader);
