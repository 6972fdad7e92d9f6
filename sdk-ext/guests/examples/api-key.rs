//! Keys from the configuration, and the rest asked of a service.

use std::{rc::Rc, time::Duration};
use wayside_sdk::{
    Cluster, ConfigErrors, Counter, Flow, GrpcCode, HttpFilter, Init, Only, Plugin, Reply, RequestHeaders,
    name,
};

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    keys: Vec<String>,
    introspect: Cluster,
}
struct ApiKey {
    config: Config,
    denied: Counter,
}
struct Stream(Rc<ApiKey>);

impl Plugin for ApiKey {
    const NAME: &'static str = "api_key";
    type Config = Config;
    type Filter = Stream;
    fn configure(config: Config, init: &mut Init) -> Result<ApiKey, ConfigErrors> {
        Ok(ApiKey { config, denied: init.counter("api_key_denied_total")? })
    }
    fn stream(self: &Rc<Self>) -> Stream {
        Stream(self.clone())
    }
}

impl HttpFilter for Stream {
    fn on_request_headers(&mut self, request: RequestHeaders) -> Flow {
        decide(self.0.clone(), request).into()
    }
}

fn decide(plugin: Rc<ApiKey>, mut request: RequestHeaders) -> Result<Flow, Reply> {
    let headers = request.headers.block().map_err(|_| Reply::new(503, "api_key.no_headers"))?;
    let key = match headers.only(name!("x-key")) {
        Only::One(key) => key.to_vec(),
        Only::Missing => return Err(plugin.deny(401, "api_key.missing")),
        Only::Many => return Err(plugin.deny(400, "api_key.repeated")),
    };
    if plugin.config.keys.iter().any(|known| known.as_bytes() == key) {
        return Ok(Flow::Continue);
    }
    Ok(Flow::wait(async move {
        let call = plugin.config.introspect.call("GET", "/introspect").header(name!("x-key"), &key);
        match call
            .timeout(Duration::from_millis(200))
            .send(request.stream())
            .await
            .map(|answer| answer.status())
        {
            Ok(200) => {
                let _ = request.headers.set(name!("x-verified"), "1");
                Ok(Flow::Continue)
            }
            Ok(401 | 403) => Err(plugin.deny(401, "api_key.rejected")),
            Ok(_) | Err(_) => {
                Err(Reply::new(503, "api_key.introspection_failed").retry_after(Duration::from_secs(1)))
            }
        }
    }))
}

impl ApiKey {
    fn deny(&self, status: u16, details: &'static str) -> Reply {
        self.denied.inc();
        Reply::new(status, details).grpc(GrpcCode::Unauthenticated)
    }
}

wayside_sdk::plugin!(ApiKey);
