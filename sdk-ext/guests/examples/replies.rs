//! Refuses every request in the client's own protocol: with the status that `x-status` says, and gRPC's of `x-grpc`.

use std::rc::Rc;
use wayside_sdk::prelude::*;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    message: String,
}

struct Replies(String);

impl RequestFilter for Replies {
    const NAME: &'static str = "replies";
    type Config = Config;

    fn configure(config: Config, _: &mut Init) -> Result<Replies, ConfigErrors> {
        Ok(Replies(config.message))
    }

    fn on_request_headers(self: Rc<Self>, request: RequestHeaders) -> FlowResult {
        let headers = request.headers.block()?;
        let number = |name: Name| std::str::from_utf8(headers.first(name)?).ok()?.parse::<u16>().ok();
        let mut reply = Reply::new(number(name!("x-status")).unwrap_or(403), "replies.refused");
        if let Some(code) = number(name!("x-grpc")).and_then(|code| GrpcCode::of(code.into())) {
            reply = reply.grpc(code);
        }
        Err(reply.explain(Protocol::of(&headers), &self.0))
    }
}

wayside_sdk::plugin!(Replies);
