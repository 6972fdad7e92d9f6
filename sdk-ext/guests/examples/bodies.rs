//! Does with bodies what the header `x-do` says.

use std::rc::Rc;
use wayside_sdk::{
    Body, Cluster, Collect, ConfigErrors, Flow, FlowResult, HttpFilter, Init, Plugin, Reply, RequestBody,
    RequestHeaders, RequestTrailers, Resize, ResponseBody, ResponseHeaders,
    headers::Message,
    headers::{Request, Response},
    log, name,
};

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    max: usize,
}

struct Bodies(Config);

#[derive(Default)]
struct Stream {
    plugin: Option<Rc<Bodies>>,
    wish: Vec<u8>,
    request: Option<Resize<Request>>,
    response: Option<Resize<Response>>,
}

impl Plugin for Bodies {
    const NAME: &'static str = "bodies";
    type Config = Config;
    type Filter = Stream;

    fn configure(config: Config, _: &mut Init) -> Result<Bodies, ConfigErrors> {
        Ok(Bodies(config))
    }

    fn stream(self: &Rc<Self>) -> Stream {
        Stream { plugin: Some(self.clone()), ..Stream::default() }
    }
}

impl HttpFilter for Stream {
    fn on_request_headers(&mut self, request: RequestHeaders) -> Flow {
        self.headers(request).into()
    }

    fn on_request_body(&mut self, body: RequestBody) -> Flow {
        self.request_body(body).into()
    }

    fn on_request_trailers(&mut self, mut trailers: RequestTrailers) -> Flow {
        if self.wishes("upper") {
            log!(Warn, "trailers {:?}", trailers.headers.set(name!("x-seen"), "1"));
        }
        Flow::Continue
    }

    fn on_response_headers(&mut self, response: ResponseHeaders) -> Flow {
        self.response_headers(response).into()
    }

    fn on_response_body(&mut self, body: ResponseBody) -> Flow {
        self.response_body(body).into()
    }
}

impl Stream {
    fn wishes(&self, wish: &str) -> bool {
        self.wish == wish.as_bytes()
    }

    fn collect(&self) -> Collect {
        Collect::up_to(self.plugin.as_ref().map_or(0, |plugin| plugin.0.max))
    }

    fn headers(&mut self, mut request: RequestHeaders) -> FlowResult {
        self.wish = request.headers.first(name!("x-do"))?.unwrap_or_default();
        if self.wishes("upper") || self.wishes("around") {
            self.request = Some(request.resize_body()?);
        }
        Ok(match self.wish.as_slice() {
            b"hold" | b"hold_upper" | b"hold_refuse" => request.hold_for_body(),
            b"call" | b"call_upper" => Flow::wait(async move {
                let answer = Cluster::new("auth").call("GET", "/").send(request.stream()).await;
                log!(Warn, "asked {:?}", answer.map(|answer| answer.status()));
                Flow::Continue
            }),
            b"buffer_headers" => Flow::Buffer,
            _ => Flow::Continue,
        })
    }

    fn request_body(&mut self, mut body: RequestBody) -> FlowResult {
        match self.wish.as_slice() {
            b"upper" => edit(&self.collect(), &mut body, self.request.as_ref()),
            b"collect" | b"call_upper" => edit(&self.collect(), &mut body, None),
            b"around" => {
                told(&body);
                if let Some(resize) = &self.request {
                    body.prepend(resize, b"<")?;
                    body.append(resize, b">")?;
                }
                log!(Warn, "now {} bytes", body.len());
                Ok(Flow::Continue)
            }
            b"gone_on" => {
                log!(Warn, "headers {}, resize {:?}", body.headers().is_some(), body.resize());
                Ok(Flow::Continue)
            }
            b"hold" => {
                let len = body.len();
                if let Some(headers) = body.headers() {
                    headers.set(name!("x-first"), len.to_string())?;
                }
                Ok(Flow::Continue)
            }
            b"hold_upper" | b"hold_refuse" => {
                let Some(whole) = self.collect().whole(&body)? else { return Ok(Flow::Buffer) };
                if self.wishes("hold_refuse") {
                    return Err(Reply::new(403, "bodies.refused"));
                }
                let Some(resize) = body.resize()? else { return Ok(Flow::Continue) };
                if let Some(headers) = body.headers() {
                    headers.set(name!("x-whole"), whole.len().to_string())?;
                }
                // Without a body there is none to be replaced.
                if !body.is_empty() {
                    body.replace(&resize, &whole.to_ascii_uppercase())?;
                }
                Ok(Flow::Continue)
            }
            b"ask" => {
                told(&body);
                Ok(Flow::wait(async move {
                    let answer = Cluster::new("auth").call("GET", "/").send(body.stream()).await;
                    let seen = body.read(100);
                    log!(Warn, "asked {:?}, {seen:?}", answer.map(|answer| answer.status()));
                    Flow::Continue
                }))
            }
            b"call" => {
                told(&body);
                Ok(Flow::Continue)
            }
            b"buffer_end" => Ok(Flow::Buffer),
            b"new_trailers" => {
                if let Some(trailers) = body.new_trailers() {
                    log!(Warn, "trailers {:?}", trailers.append(name!("x-sum"), "7"));
                }
                Ok(Flow::Continue)
            }
            _ => Ok(Flow::Continue),
        }
    }

    fn response_headers(&mut self, mut response: ResponseHeaders) -> FlowResult {
        if self.wishes("response_upper") {
            self.response = Some(response.resize_body()?);
        }
        Ok(match self.wishes("response_hold") {
            true => response.hold_for_body(),
            false => Flow::Continue,
        })
    }

    fn response_body(&mut self, mut body: ResponseBody) -> FlowResult {
        match self.wish.as_slice() {
            b"response_upper" => edit(&self.collect(), &mut body, self.response.as_ref()),
            b"response_collect" => edit(&self.collect(), &mut body, None),
            b"response_hold" => {
                let Some(whole) = self.collect().whole(&body)? else { return Ok(Flow::Buffer) };
                if let Some(headers) = body.headers() {
                    headers.set(name!("x-whole"), whole.len().to_string())?;
                }
                Ok(Flow::Continue)
            }
            _ => Ok(Flow::Continue),
        }
    }
}

fn told<P: Message>(body: &Body<P>) {
    let text = body.read(100).map(|bytes| bytes.escape_ascii().to_string());
    log!(Warn, "{} bytes {text:?} complete {}", body.len(), body.is_complete());
}

fn edit<P: Message>(collect: &Collect, body: &mut Body<P>, resize: Option<&Resize<P>>) -> FlowResult {
    let Some(whole) = collect.whole(body)? else { return Ok(Flow::Buffer) };
    log!(Warn, "whole: {} bytes {}", whole.len(), whole.escape_ascii());
    if let Some(resize) = resize {
        body.replace(resize, &[whole.to_ascii_uppercase().as_slice(), b"!"].concat())?;
    }
    Ok(Flow::Continue)
}

wayside_sdk::plugin!(Bodies);
