//! Keeps the tokens of each phase, which nobody should, and uses them wherever it can: in later phases, when its stream is over, in
//! other streams and on ticks. The request's `x-do` says which.

use std::cell::RefCell;
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use wayside_sdk::headers::{Message, Request, Response, Writable};
use wayside_sdk::{
    Body, Cluster, ConfigErrors, Flow, Headers, Host, HttpFilter, Init, LogCx, Parked, Plugin, Reply,
    RequestBody, RequestHeaders, RequestTrailers, Resize, ResponseBody, ResponseHeaders, ResponseTrailers,
    Root, Stream, log, name, property,
};

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    #[serde(default)]
    tick_ms: Option<u64>,
}

#[derive(Default)]
struct Tokens {
    request: Option<(RequestHeaders, Option<Resize<Request>>)>,
    request_body: Option<RequestBody>,
    request_trailers: Option<RequestTrailers>,
    response: Option<(ResponseHeaders, Option<Resize<Response>>)>,
    response_body: Option<ResponseBody>,
    response_trailers: Option<ResponseTrailers>,
}

struct Kept {
    /// Of a stream that is over.
    left: RefCell<Tokens>,
}

/// Of timers: for streams that are over by then, and for those that are not to be answered.
const SOON: Duration = Duration::from_millis(400);
const LATE: Duration = Duration::from_secs(20);

struct Filter {
    plugin: Rc<Kept>,
    wish: Vec<u8>,
    own: Tokens,
}

impl Plugin for Kept {
    const NAME: &'static str = "kept";
    type Config = Config;
    type Filter = Filter;

    fn configure(config: Config, init: &mut Init) -> Result<Kept, ConfigErrors> {
        if let Some(period) = config.tick_ms {
            init.tick(Duration::from_millis(period))?;
        }
        Ok(Kept { left: RefCell::default() })
    }

    fn stream(self: &Rc<Self>) -> Filter {
        // Envoy has not said yet what the stream is, and there is no token of it.
        if let Ok(mut left) = self.left.try_borrow_mut() {
            left.use_all("a new stream", SOON);
        }
        Filter { plugin: self.clone(), wish: Vec::new(), own: Tokens::default() }
    }

    fn on_tick(self: &Rc<Self>, _: &mut Root) {
        if let Ok(mut left) = self.left.try_borrow_mut() {
            left.use_all("tick", SOON);
            *left = Tokens::default();
        }
    }
}

impl HttpFilter for Filter {
    fn on_request_headers(&mut self, mut request: RequestHeaders) -> Flow {
        self.wish = request.headers.first(name!("x-do")).ok().flatten().unwrap_or_default();
        self.use_tokens("request headers");
        let resize = if self.wish == b"resize" { request.resize_body().ok() } else { None };
        if self.wish == b"reply" {
            self.own.request = Some((request, resize));
            return Reply::new(403, "kept.reply").into();
        }
        self.own.request = Some((request, resize));
        Flow::Continue
    }

    fn on_request_body(&mut self, body: RequestBody) -> Flow {
        self.use_tokens("request body");
        if self.wish == b"reply_body" {
            return Reply::new(403, "kept.reply").into();
        }
        self.own.request_body = Some(body);
        Flow::Continue
    }

    fn on_request_trailers(&mut self, trailers: RequestTrailers) -> Flow {
        self.use_tokens("request trailers");
        self.own.request_trailers = Some(trailers);
        Flow::Continue
    }

    fn on_response_headers(&mut self, mut response: ResponseHeaders) -> Flow {
        self.use_tokens("response headers");
        let resize = if self.wish == b"resize" { response.resize_body().ok() } else { None };
        self.own.response = Some((response, resize));
        Flow::Continue
    }

    fn on_response_body(&mut self, body: ResponseBody) -> Flow {
        self.use_tokens("response body");
        self.own.response_body = Some(body);
        if self.wish == b"break_off" {
            return Reply::new(500, "kept.reply").into();
        }
        Flow::Continue
    }

    fn on_response_trailers(&mut self, trailers: ResponseTrailers) -> Flow {
        self.use_tokens("response trailers");
        self.own.response_trailers = Some(trailers);
        Flow::Continue
    }

    fn on_log(&mut self, _: &LogCx) {
        self.use_tokens("log");
        if matches!(&*self.wish, b"give") {
            self.plugin.left.replace(std::mem::take(&mut self.own));
        }
    }
}

impl Drop for Filter {
    fn drop(&mut self) {
        if self.wish == b"keep" {
            self.own.use_all("deleted", SOON);
        }
    }
}

impl Filter {
    fn use_tokens(&mut self, when: &str) {
        match &*self.wish {
            b"give" => {}
            b"take" => self.plugin.left.borrow_mut().use_all(when, SOON),
            _ => self.own.use_all(when, LATE),
        }
    }
}

impl Tokens {
    fn use_all(&mut self, when: &str, timer: Duration) {
        if let Some((request, resize)) = &mut self.request {
            log!(Warn, "{when}: request's headers: {}", headers(&mut request.headers));
            log!(Warn, "{when}: request's stream: {}", stream(request.stream(), timer));
            if let (Some(resize), Some(body)) = (resize, &mut self.request_body) {
                log!(Warn, "{when}: request's body: {}", edited(body, resize));
            }
        }
        if let Some(body) = &mut self.request_body {
            log!(Warn, "{when}: request's body: {}", read(body));
        }
        if let Some(trailers) = &mut self.request_trailers {
            log!(Warn, "{when}: request's trailers: {}", headers(&mut trailers.headers));
        }
        if let Some((response, resize)) = &mut self.response {
            log!(Warn, "{when}: response's headers: {}", headers(&mut response.headers));
            if let (Some(resize), Some(body)) = (resize, &mut self.response_body) {
                log!(Warn, "{when}: response's body: {}", edited(body, resize));
            }
        }
        if let Some(body) = &mut self.response_body {
            log!(Warn, "{when}: response's body: {}", read(body));
        }
        if let Some(trailers) = &mut self.response_trailers {
            log!(Warn, "{when}: response's trailers: {}", headers(&mut trailers.headers));
        }
    }
}

/// `ok`, or what the host said.
fn told<T>(result: Host<T>) -> String {
    result.map_or_else(|error| error.status.to_string(), |_| "ok".to_owned())
}

fn headers<P: Writable>(headers: &mut Headers<P>) -> String {
    let all = headers.block().map_or_else(|error| error.status.to_string(), |_| "there".to_owned());
    let one = headers.first(name!("x-do")).map(|value| value.is_some());
    let size = told(headers.byte_size());
    let (set, append) = (headers.set(name!("x-kept"), "1"), headers.append(name!("x-kept"), "2"));
    let removed = told(headers.remove(name!("x-kept")));
    let one = one.map_or_else(|error| error.status.to_string(), |there| there.to_string());
    format!("all {all}, one {one}, size {size}, set {}, append {}, remove {removed}", told(set), told(append))
}

fn read<P: Message>(body: &mut Body<P>) -> String {
    let read = body.read(3);
    let read = read.map_or_else(|error| error.status.to_string(), |bytes| format!("{} bytes", bytes.len()));
    let trailers = body.new_trailers().map(|trailers| told(trailers.set(name!("x-kept"), "1")));
    let resize = body.resize().map(|resize| resize.is_some());
    let resize = resize.map_or_else(|error| error.status.to_string(), |there| there.to_string());
    format!("read {read}, trailers {trailers:?}, resize {resize}")
}

fn edited<P: Message>(body: &mut Body<P>, resize: &Resize<P>) -> String {
    let (put, behind) = (body.prepend(resize, b"<"), body.append(resize, b">"));
    format!("prepend {}, append {}, replace {}", told(put), told(behind), told(body.replace(resize, b"new")))
}

fn stream(stream: &Stream, timer: Duration) -> String {
    let call = Cluster::new("auth").call("GET", "/").send(stream);
    let sent = match pin!(call).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Pending => "sent".to_owned(),
        Poll::Ready(answer) => answer.map_or_else(|error| error.to_string(), |_| "answered".to_owned()),
    };
    let property = stream.get(&property::REQUEST_METHOD).map(|method| method.is_some());
    let property = property.map_or_else(|error| error.status.to_string(), |there| there.to_string());
    let published = told(stream.publish("kept", b"1"));
    let soon = stream.now().map(|now| stream.at(now.plus(timer), answer));
    format!(
        "call {sent}, property {property}, published {published}, timer {}",
        told(soon.and_then(|soon| soon))
    )
}

/// A timer of a stream that is over.
fn answer(parked: &mut Parked) {
    log!(Warn, "a timer ran");
    parked.reply(Reply::new(504, "kept.timer"));
}

wayside_sdk::plugin!(Kept);
