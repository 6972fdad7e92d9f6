//! header-auth, whose VM dies where a request has the header `x-die`: at once, or (`x-die: later`) when its body comes.

use std::rc::Rc;

use header_auth::config::Config;
use header_auth::filter::{HeaderAuth, Stream};
use wayside_sdk::RequestBody;
use wayside_sdk::prelude::{
    ConfigErrors, Flow, HttpFilter, Init, Plugin, RequestHeaders, RequestTrailers, name,
};

/// The filter, as it is.
#[derive(Debug)]
pub struct Mortal(Rc<HeaderAuth>);

/// One request.
#[derive(Debug)]
pub struct Doomed {
    filter: Stream,
    dies_later: bool,
}

impl Plugin for Mortal {
    const NAME: &'static str = "header_auth";
    type Config = Config;
    type Filter = Doomed;

    fn configure(config: Config, init: &mut Init) -> Result<Self, ConfigErrors> {
        HeaderAuth::configure(config, init).map(|filter| Self(Rc::new(filter)))
    }

    fn stream(self: &Rc<Self>) -> Doomed {
        Doomed { filter: self.0.stream(), dies_later: false }
    }
}

impl HttpFilter for Doomed {
    fn on_request_headers(&mut self, request: RequestHeaders) -> Flow {
        match request.headers.first(name!("x-die")) {
            Ok(Some(when)) if when == b"later" => self.dies_later = true,
            Ok(Some(_)) => die(),
            _ => {}
        }
        self.filter.on_request_headers(request)
    }

    fn on_request_body(&mut self, body: RequestBody) -> Flow {
        if self.dies_later {
            die();
        }
        self.filter.on_request_body(body)
    }

    fn on_request_trailers(&mut self, request: RequestTrailers) -> Flow {
        self.filter.on_request_trailers(request)
    }
}

#[expect(clippy::panic, reason = "that is what it is for")]
fn die() {
    panic!("asked to die");
}

wayside_sdk::plugin!(Mortal);
