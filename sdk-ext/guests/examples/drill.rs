//! Does what the header `x-do` says: what goes wrong in filters, and what must come of it.
#![allow(clippy::panic, reason = "panics are what it is for")]

use std::{future, rc::Rc, time::Duration};
use wayside_sdk::{
    CallError, Cluster, ConfigErrors, Flow, Gauge, HttpFilter, Init, LogCx, Plugin, Reply, RequestBody,
    RequestHeaders, ResponseHeaders, join, log, name, property,
};

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// What a filter without our hook would do.
    #[serde(default)]
    without_hook: bool,
}

struct Drill {
    waiting: Gauge,
}

struct Stream {
    plugin: Rc<Drill>,
    request: Vec<u8>,
}

impl Plugin for Drill {
    const NAME: &'static str = "drill";
    type Config = Config;
    type Filter = Stream;

    fn configure(config: Config, init: &mut Init) -> Result<Drill, ConfigErrors> {
        if config.without_hook {
            wayside_sdk::internal::without_hook();
        }
        Ok(Drill { waiting: init.gauge("drill_waiting")? })
    }

    fn stream(self: &Rc<Self>) -> Stream {
        Stream { plugin: self.clone(), request: Vec::new() }
    }
}

impl HttpFilter for Stream {
    fn on_request_headers(&mut self, request: RequestHeaders) -> Flow {
        let Ok(headers) = request.headers.block() else { return Reply::new(503, "drill.no_headers").into() };
        self.request = headers.first(name!("x-do")).unwrap_or_default().to_vec();
        match self.request.as_slice() {
            b"wait" => self.ask(request, "/slow"),
            b"panic" => panic!("the drill's"),
            b"panic_after" => Flow::wait(async move {
                let _ = Cluster::new("auth").call("GET", "/").send(request.stream()).await;
                panic_after_the_answer()
            }),
            b"nothing" => Flow::wait(future::pending::<Flow>()),
            b"both" => Flow::wait(async move {
                let (one, other) = (Cluster::new("auth"), Cluster::new("auth"));
                let first = async {
                    let first = one.call("GET", "/first").read_body(100).send(request.stream()).await;
                    let second = one.call("GET", "/second").read_body(100).send(request.stream()).await;
                    (told(&first), told(&second))
                };
                let (first, third) = join(
                    first,
                    other.call("POST", "/third").body(b"abc").read_body(2).send(request.stream()),
                )
                .await;
                log!(Warn, "first {}, second {}, third {}", first.0, first.1, told(&third));
                Flow::Continue
            }),
            b"forever" => Flow::wait(async move {
                let answer = Cluster::new("auth")
                    .call("GET", "/")
                    .timeout(Duration::ZERO)
                    .send(request.stream())
                    .await;
                log!(Warn, "{}", told(&answer));
                Flow::Continue
            }),
            b"unknown" => Flow::wait(async move {
                let answer = Cluster::new("nobody").call("GET", "/").send(request.stream()).await;
                log!(Warn, "{}", told(&answer));
                Flow::Continue
            }),
            b"publish" => {
                let (set, got) =
                    (request.stream().publish("drill", b"1"), request.stream().get(&property::ROUTE_NAME));
                log!(Warn, "published {set:?}, route {:?}", got.map(|name| name.is_some()));
                Flow::Continue
            }
            _ => Flow::Continue,
        }
    }

    fn on_request_body(&mut self, body: RequestBody) -> Flow {
        if self.request == b"body" {
            log!(Warn, "{} bytes, read {:?}", body.len(), body.read(2));
        }
        Flow::Continue
    }

    fn on_response_headers(&mut self, mut response: ResponseHeaders) -> Flow {
        if self.request == b"log" {
            log!(Warn, "set {:?}", response.headers.set(name!("x-drill"), "1"));
        }
        Flow::Continue
    }

    fn on_log(&mut self, cx: &LogCx) {
        if self.request == b"log" {
            let (request, response) = (cx.request.block(), cx.response.block());
            let path = request.map(|headers| headers.path().to_vec());
            log!(
                Warn,
                "{path:?} {:?} {}",
                response.map(|headers| headers.status()),
                cx.response_trailers().is_some()
            );
        }
    }
}

impl Stream {
    /// The filter's own count of those that wait.
    fn ask(&self, request: RequestHeaders, path: &'static str) -> Flow {
        self.plugin.waiting.add(1);
        let plugin = self.plugin.clone();
        Flow::wait(async move {
            let call = Cluster::new("auth")
                .call("GET", path)
                .timeout(Duration::from_secs(30))
                .send(request.stream())
                .await;
            plugin.waiting.add(-1);
            log!(Warn, "{}", told(&call));
            Flow::Continue
        })
    }
}

fn panic_after_the_answer() -> Flow {
    panic!("after the answer")
}

fn told(answer: &Result<wayside_sdk::CallResponse, CallError>) -> String {
    match answer {
        Ok(answer) => format!("{} {}", answer.status(), String::from_utf8_lossy(&answer.body)),
        Err(error) => error.to_string(),
    }
}

wayside_sdk::plugin!(Drill);
