//! Does what the header `x-do` says with what all VMs of a proxy share.
#![allow(clippy::panic, reason = "what is lost with a VM is what it is for")]

use std::rc::Rc;
use std::time::Duration;
use wayside_sdk::{
    Atomic, Cluster, ConfigErrors, Flow, HttpFilter, Init, Plugin, Reply, RequestHeaders, Reservation, name,
};

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// So many requests at a time.
    limit: u64,
    /// In front of the metric's name.
    #[serde(default)]
    prefix: String,
    /// What a filter without our hook would do.
    #[serde(default)]
    without_hook: bool,
}

struct State {
    limit: u64,
    in_flight: Atomic,
}

struct Stream {
    plugin: Rc<State>,
    /// Given back with the stream.
    kept: Option<Reservation>,
}

impl Plugin for State {
    const NAME: &'static str = "state";
    type Config = Config;
    type Filter = Stream;

    fn configure(config: Config, init: &mut Init) -> Result<State, ConfigErrors> {
        if config.without_hook {
            wayside_sdk::internal::without_hook();
        }
        Ok(State { limit: config.limit, in_flight: init.atomic(&format!("{}in_flight", config.prefix))? })
    }

    fn stream(self: &Rc<Self>) -> Stream {
        Stream { plugin: self.clone(), kept: None }
    }
}

impl HttpFilter for Stream {
    fn on_request_headers(&mut self, request: RequestHeaders) -> Flow {
        let Ok(headers) = request.headers.block() else { return Reply::new(503, "state.no_headers").into() };
        let told = headers.first(name!("x-do")).unwrap_or_default();
        let Some(reservation) = self.plugin.in_flight.reserve(self.plugin.limit) else {
            return Reply::new(429, "state.full").into();
        };
        match told {
            b"panic" => panic!("with a reservation"),
            b"wait" => {
                return Flow::wait(async move {
                    let auth = Cluster::new("auth");
                    let call = auth.call("GET", "/").timeout(Duration::from_secs(30));
                    let answer = call.send(request.stream()).await;
                    drop(reservation);
                    match answer {
                        Ok(_) => Flow::Continue,
                        Err(_) => Reply::new(503, "state.no_answer").into(),
                    }
                });
            }
            _ => self.kept = Some(reservation),
        }
        Flow::Continue
    }
}

wayside_sdk::plugin!(State);
