//! Calls to other services. All go to the sidecar's outbound listener; the authority says whom they are for.

use std::{
    future::Future,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
};

use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, Request, Response, StatusCode, Uri, header},
    response::IntoResponse as _,
};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioIo},
};
use tokio::net::TcpStream;
use tower::{Service, ServiceExt as _, util::BoxCloneSyncService};

use crate::fault;

/// What a service hands on from the request it serves to those it makes: what joins the hops of one request, how long
/// it may take, who the caller is, and the fault asked for.
const PROPAGATED: [HeaderName; 9] = [
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
    HeaderName::from_static("x-envoy-expected-rq-timeout-ms"),
    HeaderName::from_static("grpc-timeout"),
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static(fault::CASE),
    HeaderName::from_static(fault::HEADER),
    header::AUTHORIZATION,
];

/// The headers of a request being served that belong on every request it causes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Propagated(HeaderMap);

impl Propagated {
    pub(crate) fn from(headers: &HeaderMap) -> Self {
        let mut kept = HeaderMap::new();
        for name in PROPAGATED {
            for value in headers.get_all(&name) {
                kept.append(name.clone(), value.clone());
            }
        }
        Propagated(kept)
    }
}

/// Clients that know one address only.
#[derive(Clone, Debug)]
pub(crate) struct Outbound {
    http1: Client<ToSidecar, Body>,
    http2: Client<ToSidecar, tonic::body::Body>,
}

impl Outbound {
    pub(crate) fn through(sidecar: SocketAddr) -> Self {
        Outbound {
            http1: Client::builder(TokioExecutor::new()).build(ToSidecar(sidecar)),
            http2: Client::builder(TokioExecutor::new()).http2_only(true).build(ToSidecar(sidecar)),
        }
    }

    /// Sends a request and gives its answer whatever it is. A sidecar that cannot be reached answers 502.
    pub(crate) async fn send(&self, propagated: &Propagated, mut request: Request<Body>) -> Response<Body> {
        request.headers_mut().extend(propagated.0.clone());
        request.headers_mut().insert(header::USER_AGENT, header::HeaderValue::from_static("bookshop/1"));
        match self.http1.request(request).await {
            Ok(answer) => answer.map(Body::new),
            Err(error) => {
                (StatusCode::BAD_GATEWAY, format!("no answer from the sidecar: {error}\n")).into_response()
            }
        }
    }

    pub(crate) async fn get(&self, propagated: &Propagated, uri: Uri) -> Response<Body> {
        let mut request = Request::new(Body::empty());
        *request.uri_mut() = uri;
        self.send(propagated, request).await
    }

    /// The transport under a gRPC client.
    pub(crate) fn grpc(&self, propagated: Propagated) -> GrpcTransport {
        let with_headers = move |mut request: Request<tonic::body::Body>| {
            request.headers_mut().extend(propagated.0.clone());
            request
        };
        BoxCloneSyncService::new(self.http2.clone().map_request(with_headers))
    }
}

/// What a gRPC client sends its requests with.
pub(crate) type GrpcTransport =
    BoxCloneSyncService<Request<tonic::body::Body>, Response<Incoming>, hyper_util::client::legacy::Error>;

/// Connects to the sidecar, whatever address the request names.
#[derive(Clone, Debug)]
struct ToSidecar(SocketAddr);

impl Service<Uri> for ToSidecar {
    type Response = TokioIo<TcpStream>;
    type Error = std::io::Error;
    type Future = Pin<Box<dyn Future<Output = std::io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let sidecar = self.0;
        Box::pin(async move {
            let stream = TcpStream::connect(sidecar).await?;
            stream.set_nodelay(true)?;
            Ok(TokioIo::new(stream))
        })
    }
}
