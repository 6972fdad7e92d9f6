//! Limits that routes bring along.

use std::rc::Rc;
use wayside_sdk::{
    ConfigErrors, Flow, HttpFilter, Init, PerRoute, PerRouteError, Plugin, Reply, RequestHeaders, name,
};

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    #[serde(default)]
    prefix: String,
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Limits {
    per_second: u32,
}

struct Limited(PerRoute<Limits>);
struct Stream(Rc<Limited>);

impl Plugin for Limited {
    const NAME: &'static str = "limited";
    type Config = Config;
    type Filter = Stream;

    fn configure(config: Config, init: &mut Init) -> Result<Limited, ConfigErrors> {
        let refused = init.counter(&format!("{}bad_routes", config.prefix))?;
        Ok(Limited(PerRoute::new("shop", "limits").counting(refused)))
    }

    fn stream(self: &Rc<Self>) -> Stream {
        Stream(self.clone())
    }
}

impl HttpFilter for Stream {
    fn on_request_headers(&mut self, mut request: RequestHeaders) -> Flow {
        let told = match self.0.0.get(request.stream()) {
            Ok(Some(limits)) => limits.per_second.to_string(),
            Ok(None) => "none".to_owned(),
            Err(PerRouteError::Refused(_)) => return Reply::new(500, "limited.bad_route").into(),
            Err(PerRouteError::Host(_)) => return Reply::new(503, "limited.host").into(),
        };
        let _ = request.headers.set(name!("x-limit"), told);
        Flow::Continue
    }
}

wayside_sdk::plugin!(Limited);
