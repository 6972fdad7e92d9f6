//! How a request tells a service further down to misbehave: `x-bookshop-fault: ratings:flaky=1, reviews:slow=200`.

use std::{io, time::Duration};

use axum::{
    body::{Body, Bytes},
    extract::Request,
    http::{HeaderMap, StatusCode},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use tokio_stream::StreamExt as _;

use crate::Service;

/// Handed on from hop to hop, so that it reaches the service it names.
pub const HEADER: &str = "x-bookshop-fault";

/// Names the case of a test or a recording that a request belongs to, on every hop.
pub const CASE: &str = "x-bookshop-case";

/// What Envoy counts attempts in, from 1, where the virtual host has `include_request_attempt_count`.
const ATTEMPT: &str = "x-envoy-attempt-count";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// `slow=MILLISECONDS`: answers later.
    Slow(Duration),
    /// `hang`: never answers.
    Hang,
    /// `status=CODE`: answers with this status.
    Status(StatusCode),
    /// `flaky=N`: answers the first N attempts with 503.
    Flaky(u32),
    /// `drop`: closes the connection before the answer's first byte.
    Drop,
    /// `cut`: closes the connection in the middle of the answer's body.
    Cut,
}

/// The fault that a request asks of `service`; `Err` is a sentence for whoever sent it.
fn asked_of(service: Service, headers: &HeaderMap) -> Result<Option<Fault>, String> {
    let Some(value) = headers.get(HEADER) else {
        return Ok(None);
    };
    let text = value.to_str().map_err(|_| format!("{HEADER}: expected text, found {value:?}"))?;
    for item in text.split(',').map(str::trim) {
        let (name, fault) = item
            .split_once(':')
            .ok_or_else(|| format!("{HEADER}: expected SERVICE:FAULT, found {item:?}"))?;
        if name == service.name() {
            return parse(fault).map(Some).ok_or_else(|| {
                format!(
                    "{HEADER}: expected slow=MS, hang, status=CODE, flaky=N, drop or cut, found {fault:?}"
                )
            });
        }
    }
    Ok(None)
}

fn parse(fault: &str) -> Option<Fault> {
    let (kind, number) = fault.split_once('=').unwrap_or((fault, ""));
    match (kind, number) {
        ("slow", ms) => ms.parse().ok().map(Duration::from_millis).map(Fault::Slow),
        ("status", code) => code.parse().ok().map(Fault::Status),
        ("flaky", attempts) => attempts.parse().ok().map(Fault::Flaky),
        ("hang", "") => Some(Fault::Hang),
        ("drop", "") => Some(Fault::Drop),
        ("cut", "") => Some(Fault::Cut),
        _ => None,
    }
}

/// 1 where no sidecar counted.
fn attempt(headers: &HeaderMap) -> u32 {
    headers.get(ATTEMPT).and_then(|v| v.to_str().ok()).and_then(|v| v.parse().ok()).unwrap_or(1)
}

/// The layer around every service.
pub(crate) async fn apply(service: Service, request: Request, next: Next) -> Response {
    let fault = match asked_of(service, request.headers()) {
        Ok(fault) => fault,
        Err(sentence) => return (StatusCode::BAD_REQUEST, sentence).into_response(),
    };
    let attempt = attempt(request.headers());
    match fault {
        None => next.run(request).await,
        Some(Fault::Slow(by)) => {
            tokio::time::sleep(by).await;
            next.run(request).await
        }
        Some(Fault::Hang) => std::future::pending().await,
        Some(Fault::Status(code)) => (code, format!("{service} was told to answer {code}\n")).into_response(),
        Some(Fault::Flaky(attempts)) if attempt <= attempts => {
            (StatusCode::SERVICE_UNAVAILABLE, format!("{service} fails attempt {attempt}\n")).into_response()
        }
        Some(Fault::Flaky(_)) => next.run(request).await,
        Some(Fault::Drop) => Body::from_stream(tokio_stream::once(Err::<Bytes, _>(broken()))).into_response(),
        Some(Fault::Cut) => cut_off().into_response(),
    }
}

fn broken() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "told to break off")
}

/// A body that fails behind its first bytes, once those are on the wire.
fn cut_off() -> Body {
    let parts = [Ok(Bytes::from_static(b"{\"this answer\": \"breaks o")), Err(broken())];
    Body::from_stream(tokio_stream::iter(parts).then(|part| async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        part
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(service: Service, value: &str) -> Result<Option<Fault>, String> {
        asked_of(service, &HeaderMap::from_iter([(HEADER.parse().unwrap(), value.parse().unwrap())]))
    }

    #[test]
    fn a_fault_reaches_only_the_service_it_names() {
        let value = "ratings:flaky=1, reviews:slow=200";
        assert_eq!(asked(Service::Ratings, value), Ok(Some(Fault::Flaky(1))));
        assert_eq!(asked(Service::Reviews, value), Ok(Some(Fault::Slow(Duration::from_millis(200)))));
        assert_eq!(asked(Service::Stock, value), Ok(None));
    }

    #[test]
    fn a_fault_that_is_none_is_refused_with_what_was_expected() {
        for value in ["ratings:explode", "ratings:slow=soon", "ratings:status=1", "ratings"] {
            let sentence = asked(Service::Ratings, value).unwrap_err();
            assert!(sentence.contains("expected") && sentence.contains("found"), "{sentence}");
        }
    }
}
