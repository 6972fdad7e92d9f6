//! A collector for the filters of a replay.

use std::{cell::RefCell, rc::Rc, sync::Arc, time::Duration};

use super::{Span, read};
use crate::{
    abi::HttpCallout,
    message::{HeaderMap, Message},
    upstream::{CalloutAnswer, Service},
};

/// Takes all that filters export by OTLP over HTTP, at once, and keeps the spans. Clones are one and the same collector.
#[derive(Clone, Debug, Default)]
pub struct Collector(Rc<RefCell<Received>>);

/// What a collector has received.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// In the order in which they came.
    pub spans: Vec<Span>,
    /// Requests that were refused: by whom, and what was wrong with them.
    pub refused: Vec<String>,
}

impl Collector {
    pub fn new() -> Self {
        Self::default()
    }

    /// The collector as one proxy meets it.
    pub fn of_proxy(&self, proxy: &str) -> impl Service + use<> {
        let (received, proxy) = (Rc::clone(&self.0), Arc::from(proxy));
        move |callout: &HttpCallout| received.borrow_mut().take(callout, &proxy)
    }

    /// What has been received until now.
    pub fn received(&self) -> Received {
        self.0.borrow().clone()
    }
}

impl Received {
    /// The answers are those of the OpenTelemetry collector's `otlphttp` receiver.
    fn take(&mut self, callout: &HttpCallout, proxy: &Arc<str>) -> CalloutAnswer {
        let header = |name: &[u8]| callout.headers.first(name).map(|value| &value[..]).unwrap_or_default();
        if header(b":method") != b"POST" {
            return self.refuse(405, proxy, "found a method other than POST");
        }
        let Some(encoding) = read::Encoding::of(header(b"content-type")) else {
            let expected = "found another content-type than application/x-protobuf and application/json";
            return self.refuse(415, proxy, expected);
        };
        let path = header(b":path");
        if path.ends_with(b"/v1/traces") {
            match read::spans(&callout.body, encoding, proxy) {
                Ok(spans) => self.spans.extend(spans),
                Err(error) => return self.refuse(400, proxy, &error),
            }
        } else if !path.ends_with(b"/v1/metrics") && !path.ends_with(b"/v1/logs") {
            return self.refuse(404, proxy, &format!("found the path {}", path.escape_ascii()));
        }
        accepted(encoding)
    }

    fn refuse(&mut self, status: u16, proxy: &str, why: &str) -> CalloutAnswer {
        self.refused.push(format!("{proxy}: {why}"));
        CalloutAnswer::status(status, why.to_owned())
    }
}

/// An empty `Export…ServiceResponse`: all was taken.
fn accepted(encoding: read::Encoding) -> CalloutAnswer {
    let body = match encoding {
        read::Encoding::Protobuf => Vec::new(),
        read::Encoding::Json => vec!["{}".into()],
    };
    let headers = HeaderMap::from_iter([(":status", "200"), ("content-type", encoding.content_type())]);
    CalloutAnswer::Response { after: Duration::ZERO, message: Message { headers, body, trailers: None } }
}
