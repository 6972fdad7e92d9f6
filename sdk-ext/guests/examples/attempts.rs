//! Tells a client of the attempts that were made for it: what it is when it stands in a cluster's upstream chain.

use std::cell::RefCell;
use std::rc::Rc;
use wayside_sdk::{
    ConfigErrors, Flow, FlowResult, HttpFilter, Init, LogCx, Opened, PerRequest, Plugin, RequestHeaders,
    ResponseHeaders, log, name, vm_local,
};

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Tells plugins apart that are configured differently.
    #[serde(default)]
    name: String,
}

vm_local! {
    /// What each attempt said of itself.
    static SAID: PerRequest<RefCell<Vec<String>>> = const { PerRequest::named("attempts_said") };
}

struct Attempts {
    name: String,
}

struct Stream {
    plugin: Rc<Attempts>,
    /// In the listener's chain.
    said: Option<Opened<RefCell<Vec<String>>>>,
}

impl Plugin for Attempts {
    const NAME: &'static str = "attempts";
    type Config = Config;
    type Filter = Stream;

    fn configure(config: Config, _: &mut Init) -> Result<Attempts, ConfigErrors> {
        log!(Info, "configured {}", config.name);
        Ok(Attempts { name: config.name })
    }

    fn stream(self: &Rc<Self>) -> Stream {
        Stream { plugin: self.clone(), said: None }
    }
}

impl Stream {
    fn begin(&mut self, request: &mut RequestHeaders) -> FlowResult {
        match request.attempt()? {
            None => self.said = Some(SAID.with(|said| said.open(request.stream(), RefCell::default()))?),
            Some(attempt) => {
                let said = SAID.with(|said| said.of(request.stream()))?;
                let found = if said.is_some() { "found" } else { "unknown" };
                request.headers.set(name!("x-attempt"), format!("{attempt} {found}"))?;
                if let Some(said) = said {
                    said.borrow_mut().push(format!("{}{attempt}", self.plugin.name));
                }
            }
        }
        Ok(Flow::Continue)
    }
}

impl HttpFilter for Stream {
    fn on_request_headers(&mut self, mut request: RequestHeaders) -> Flow {
        self.begin(&mut request).unwrap_or_else(Flow::from)
    }

    fn on_response_headers(&mut self, mut response: ResponseHeaders) -> Flow {
        if let Some(said) = &self.said {
            let who = if said.borrow().is_empty() { "nobody".to_owned() } else { said.borrow().join(" ") };
            let told = format!("{who} of {}", SAID.with(PerRequest::len));
            let _ = response.headers.set(name!("x-said"), told);
        }
        Flow::Continue
    }

    fn on_log(&mut self, _: &LogCx) {
        drop(self.said.take());
        log!(Info, "{} others", SAID.with(PerRequest::len));
    }
}

wayside_sdk::plugin!(Attempts);
