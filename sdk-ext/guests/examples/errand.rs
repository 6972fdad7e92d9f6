//! A plugin that fetches for itself, for a request or on a tick, and requests that sleep until something has come.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::Duration,
};
use wayside_sdk::{
    Cluster, ConfigErrors, Flow, FlowResult, Init, Reply, RequestFilter, RequestHeaders, callout::Caller,
    log, name,
};

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {}

#[derive(Default)]
struct Errand {
    brought: Rc<RefCell<Option<String>>>,
    wanted: Rc<Cell<bool>>,
}

impl RequestFilter for Errand {
    const NAME: &'static str = "errand";
    type Config = Config;

    fn configure(_: Config, init: &mut Init) -> Result<Errand, ConfigErrors> {
        let errand = Errand::default();
        let (brought, wanted) = (errand.brought.clone(), errand.wanted.clone());
        init.every(Duration::from_millis(20), move |root| {
            if wanted.take() {
                fetch(root, &brought);
            }
        })?;
        Ok(errand)
    }

    fn on_request_headers(self: Rc<Self>, mut request: RequestHeaders) -> FlowResult {
        match request.headers.block()?.path() {
            b"/send" => fetch(request.stream(), &self.brought),
            b"/on-tick" => self.wanted.set(true),
            _ => {}
        }
        let until = request.stream().now()?.plus(Duration::from_millis(600));
        Ok(Flow::wait(async move {
            loop {
                let (now, brought) = (request.stream().now()?, self.brought.borrow().clone());
                if let Some(brought) = brought {
                    request.headers.set(name!("x-brought"), &brought)?;
                    return Ok(Flow::Continue);
                }
                if now >= until {
                    return Err(Reply::new(503, "errand.nothing_came"));
                }
                request.stream().sleep_until(now.plus(Duration::from_millis(20))).await?;
            }
        }))
    }
}

fn fetch(from: &impl Caller, brought: &Rc<RefCell<Option<String>>>) {
    let brought = brought.clone();
    let auth = Cluster::new("auth");
    let call = auth.call("GET", "/errand").timeout(Duration::from_millis(400)).read_body(100);
    let sent = call.send_for_root(from, move |_, answer| {
        let told = match answer {
            Ok(answer) => format!("{} {}", answer.status(), String::from_utf8_lossy(&answer.body)),
            Err(error) => error.to_string(),
        };
        log!(Warn, "brought: {told}");
        brought.replace(Some(told));
    });
    if let Err(error) = sent {
        log!(Warn, "not sent: {error}");
    }
}

wayside_sdk::plugin!(Errand);
