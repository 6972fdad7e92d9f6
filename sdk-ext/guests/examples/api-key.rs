//! Keys from the configuration, and the rest asked of a service.
use std::{rc::Rc, time::Duration};
use wayside_sdk::prelude::*;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    keys: Vec<Redacted<String>>,
    introspect: Cluster,
}

struct ApiKey(Config, Counter);

impl RequestFilter for ApiKey {
    const NAME: &'static str = "api_key";
    type Config = Config;
    fn configure(config: Config, init: &mut Init) -> Result<ApiKey, ConfigErrors> {
        Ok(ApiKey(config, init.counter("api_key_denied_total")?))
    }
    fn on_request_headers(self: Rc<Self>, mut request: RequestHeaders) -> FlowResult {
        let denied = self.1;
        let deny = move |status, why| Reply::new(status, why).grpc(GrpcCode::Unauthenticated).counted(denied);
        let key = match request.headers.block()?.only(name!("x-key")) {
            Only::One(key) if self.0.keys.iter().any(|one| one.matches(key)) => return Ok(Flow::Continue),
            Only::One(key) => key.to_vec(),
            Only::Missing => return Err(deny(401, "api_key.missing")),
            Only::Many => return Err(deny(400, "api_key.repeated")),
        };
        Ok(Flow::wait(async move {
            let call = self.0.introspect.call("GET", "/introspect").header(name!("x-key"), &key);
            let answer = call.timeout(Duration::from_millis(200)).send(request.stream()).await;
            match answer.map(|answer| answer.status()) {
                Ok(200) => Ok(request.headers.set(name!("x-verified"), "1").map(|()| Flow::Continue)?),
                Ok(401 | 403) => Err(deny(401, "api_key.rejected")),
                _ => Err(Reply::new(503, "api_key.introspection_failed").retry_after(Duration::from_secs(1))),
            }
        }))
    }
}
plugin!(ApiKey);
