//! Filters that do what their own header says, to be run as modules of their own and as one: `x-first: h:see,h:set=a=1`.
//!
//! A step is a phase (`h`, `b`, `t` of the request, `H`, `B`, `T` of the response, `l`), what to do, and what with. Every
//! filter writes down what it finds, so that two ways of running them can be compared.

pub(crate) use std::rc::Rc;
use std::time::Duration;
use wayside_sdk::headers::{Message, Request, Response, Writable};
pub(crate) use wayside_sdk::{
    Body, Cluster, ConfigErrors, Counter, Flow, HeaderBlock, Headers, HttpFilter, Init, LogCx, OwnedName,
    Plugin, Reply, RequestBody, RequestHeaders, RequestTrailers, Resize, ResponseBody, ResponseHeaders,
    ResponseTrailers, Stream, log,
};

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// Answers nobody with an even number.
    even: u32,
}

pub(crate) struct Shared {
    name: &'static str,
    replies: Counter,
}

/// A step of this request.
type Step = (u8, String, String);

pub(crate) struct Member {
    shared: Rc<Shared>,
    steps: Vec<Step>,
    request: Option<Resize<Request>>,
    response: Option<Resize<Response>>,
}

impl Shared {
    pub(crate) fn configure(
        name: &'static str,
        config: &Config,
        init: &mut Init,
    ) -> Result<Shared, ConfigErrors> {
        if !config.even.is_multiple_of(2) {
            return Err(ConfigErrors::one("/even", "expected an even number"));
        }
        init.timers(Duration::from_millis(5));
        Ok(Shared { name, replies: init.counter(&format!("{name}_replies_total"))? })
    }
}

fn shown(block: &HeaderBlock) -> String {
    let ours = block.iter().filter(|(name, _)| name.starts_with(b"x-s-") || name.first() == Some(&b':'));
    let shown = ours.filter(|(name, _)| *name != b":authority" && *name != b":scheme");
    let pairs: Vec<_> =
        shown.map(|(name, value)| format!("{}={}", name.escape_ascii(), value.escape_ascii())).collect();
    pairs.join(" ")
}

impl Member {
    pub(crate) fn new(shared: Rc<Shared>) -> Member {
        Member { shared, steps: Vec::new(), request: None, response: None }
    }

    fn told(&self, what: &str) {
        log!(Warn, "{} {what}", self.shared.name);
    }

    fn learn(&mut self, block: &HeaderBlock) {
        let header = OwnedName::parse(&format!("x-{}", self.shared.name));
        let text = header.and_then(|header| block.first(&header)).unwrap_or_default();
        for step in String::from_utf8_lossy(text).split(',') {
            let Some((phase, rest)) = step.split_once(':') else { continue };
            let (what, with) = rest.split_once('=').unwrap_or((rest, ""));
            self.steps.push((phase.bytes().next().unwrap_or_default(), what.to_owned(), with.to_owned()));
        }
    }

    fn of(&self, phase: u8) -> Vec<Step> {
        self.steps.iter().filter(|(of, ..)| *of == phase).cloned().collect()
    }

    fn edit<P: Writable>(&self, headers: &mut Headers<P>, what: &str, with: &str) {
        let (name, value) = with.split_once('=').unwrap_or((with, ""));
        let Some(name) = OwnedName::parse(name) else { return };
        let done = match what {
            "set" => headers.set(&name, value),
            "add" => headers.append(&name, value),
            "del" => headers.remove(&name),
            "see" => headers.block().map(|block| self.told(&shown(&block))),
            _ => return,
        };
        if let Err(error) = done {
            self.told(&error.to_string());
        }
    }

    /// Whether the body of this phase is to be another.
    fn resizes(&self, phase: u8) -> bool {
        self.steps.iter().any(|(of, what, _)| *of == phase && what == "body")
    }

    fn body<P: Message>(&self, steps: &[Step], body: &mut Body<P>, resize: Option<&Resize<P>>) {
        for (_, what, with) in steps {
            let done = match (what.as_str(), resize) {
                ("body", Some(resize)) => body.replace(resize, with.as_bytes()),
                ("see", _) => body.read(100).map(|bytes| self.told(&bytes.escape_ascii().to_string())),
                _ => continue,
            };
            if let Err(error) = done {
                self.told(&error.to_string());
            }
        }
    }

    /// What the flow of a phase comes to: the first step that has one decides.
    fn flow(&self, steps: &[Step], stream: &Stream) -> Option<Flow> {
        steps.iter().find_map(|(_, what, with)| match what.as_str() {
            "reply" => {
                self.shared.replies.inc();
                Some(
                    Reply::new(with.parse().unwrap_or(500), "member.reply")
                        .body(self.shared.name.as_bytes())
                        .into(),
                )
            }
            "wait" | "ask" => {
                let call = Cluster::new("auth").call("GET", "/").send(stream);
                let (shared, refuse) = (self.shared.clone(), what == "ask");
                Some(Flow::wait(async move {
                    let status = call.await.map(|answer| answer.status());
                    log!(Warn, "{} was answered {status:?}", shared.name);
                    match status {
                        Ok(200) if !refuse => Flow::Continue,
                        _ => Reply::new(403, "member.asked").into(),
                    }
                }))
            }
            "timer" => {
                let name = self.shared.name;
                let when =
                    stream.now().unwrap_or_default().plus(Duration::from_millis(with.parse().unwrap_or(20)));
                let set = stream.at(when, move |parked| {
                    log!(Warn, "{name} timer");
                    parked.reply(Reply::new(504, "member.timer"));
                });
                if let Err(error) = set {
                    self.told(&error.to_string());
                }
                None
            }
            _ => None,
        })
    }
}

impl HttpFilter for Member {
    fn on_request_headers(&mut self, mut token: RequestHeaders) -> Flow {
        match token.headers.block() {
            Ok(block) => self.learn(&block),
            Err(error) => self.told(&error.to_string()),
        }
        let end = token.end_of_stream();
        self.told(&format!("h {end}"));
        if self.resizes(b'b') {
            self.request = token.resize_body().ok();
        }
        let steps = self.of(b'h');
        for (_, what, with) in &steps {
            self.edit(&mut token.headers, what, with);
        }
        self.flow(&steps, token.stream()).unwrap_or(Flow::Continue)
    }

    fn on_request_body(&mut self, mut token: RequestBody) -> Flow {
        self.told(&format!("b {} {}", token.len(), token.end_of_stream()));
        let steps = self.of(b'b');
        self.body(&steps, &mut token, self.request.as_ref());
        self.flow(&steps, token.stream()).unwrap_or(Flow::Continue)
    }

    fn on_request_trailers(&mut self, mut token: RequestTrailers) -> Flow {
        self.told("t");
        let steps = self.of(b't');
        for (_, what, with) in &steps {
            self.edit(&mut token.headers, what, with);
        }
        self.flow(&steps, token.stream()).unwrap_or(Flow::Continue)
    }

    fn on_response_headers(&mut self, mut token: ResponseHeaders) -> Flow {
        self.told(&format!("H {}", token.end_of_stream()));
        if self.resizes(b'B') {
            self.response = token.resize_body().ok();
        }
        let steps = self.of(b'H');
        for (_, what, with) in &steps {
            self.edit(&mut token.headers, what, with);
        }
        self.flow(&steps, token.stream()).unwrap_or(Flow::Continue)
    }

    fn on_response_body(&mut self, mut token: ResponseBody) -> Flow {
        self.told(&format!("B {} {}", token.len(), token.end_of_stream()));
        let steps = self.of(b'B');
        self.body(&steps, &mut token, self.response.as_ref());
        self.flow(&steps, token.stream()).unwrap_or(Flow::Continue)
    }

    fn on_response_trailers(&mut self, mut token: ResponseTrailers) -> Flow {
        self.told("T");
        let steps = self.of(b'T');
        for (_, what, with) in &steps {
            self.edit(&mut token.headers, what, with);
        }
        self.flow(&steps, token.stream()).unwrap_or(Flow::Continue)
    }

    fn on_log(&mut self, cx: &LogCx) {
        match cx.request.block() {
            Ok(block) => self.told(&format!("l {}", shown(&block))),
            Err(error) => self.told(&error.to_string()),
        }
    }
}

macro_rules! member {
    ($plugin:ident, $name:literal) => {
        pub(crate) struct $plugin(Rc<Shared>);

        impl Plugin for $plugin {
            const NAME: &'static str = $name;
            type Config = Config;
            type Filter = Member;

            fn configure(config: Config, init: &mut Init) -> Result<$plugin, ConfigErrors> {
                Shared::configure($name, &config, init).map(|shared| $plugin(Rc::new(shared)))
            }

            fn stream(self: &Rc<Self>) -> Member {
                Member::new(self.0.clone())
            }
        }
    };
}
