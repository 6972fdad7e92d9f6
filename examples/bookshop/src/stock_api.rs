//! `bookshop.v1.Stock` by hand: its messages, the trait behind it, its server and its client.
//!
//! What it would be as a `.proto` file:
//!
//! ```text
//! message Copies { string isbn = 1; uint32 count = 2; }
//! service Stock {
//!   rpc Level(Copies) returns (Copies);
//!   rpc Reserve(Copies) returns (Copies);
//!   rpc Watch(Copies) returns (stream Copies);
//! }
//! ```

use std::{future::Future, pin::Pin};

use axum::{
    Router,
    body::Body,
    http::{Request as HttpRequest, Response as HttpResponse, Uri, uri::PathAndQuery},
    routing::post,
};
use tokio_stream::Stream;
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;
use tower::service_fn;

use crate::outbound::GrpcTransport;

/// A title and a number of copies: asked for or left; in the request of `Watch` how many answers are wanted.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct Copies {
    #[prost(string, tag = "1")]
    pub(crate) isbn: String,
    #[prost(uint32, tag = "2")]
    pub(crate) count: u32,
}

pub(crate) type CopiesStream = Pin<Box<dyn Stream<Item = Result<Copies, Status>> + Send>>;

/// What a stock keeper can be asked.
pub(crate) trait Stock: Clone + Send + Sync + 'static {
    fn level(
        &self,
        request: Request<Copies>,
    ) -> impl Future<Output = Result<Response<Copies>, Status>> + Send;
    fn reserve(
        &self,
        request: Request<Copies>,
    ) -> impl Future<Output = Result<Response<Copies>, Status>> + Send;
    fn watch(
        &self,
        request: Request<Copies>,
    ) -> impl Future<Output = Result<Response<CopiesStream>, Status>> + Send;
}

const LEVEL: &str = "/bookshop.v1.Stock/Level";
const RESERVE: &str = "/bookshop.v1.Stock/Reserve";
const WATCH: &str = "/bookshop.v1.Stock/Watch";

pub(crate) fn routes<S: Stock>(stock: S) -> Router {
    let call = move |request: HttpRequest<Body>| serve(stock.clone(), request);
    Router::new().route("/bookshop.v1.Stock/{method}", post(call))
}

async fn serve<S: Stock>(stock: S, request: HttpRequest<Body>) -> HttpResponse<tonic::body::Body> {
    let mut grpc = tonic::server::Grpc::new(ProstCodec::<Copies, Copies>::default());
    match request.uri().path() {
        LEVEL => {
            let level = |copies| {
                let stock = stock.clone();
                async move { stock.level(copies).await }
            };
            grpc.unary(service_fn(level), request).await
        }
        RESERVE => {
            let reserve = |copies| {
                let stock = stock.clone();
                async move { stock.reserve(copies).await }
            };
            grpc.unary(service_fn(reserve), request).await
        }
        WATCH => {
            let watch = |copies| {
                let stock = stock.clone();
                async move { stock.watch(copies).await }
            };
            grpc.server_streaming(service_fn(watch), request).await
        }
        other => Status::unimplemented(format!("no method {other}")).into_http(),
    }
}

/// A client of the service behind the authority `stock`.
pub(crate) struct StockClient(tonic::client::Grpc<GrpcTransport>);

impl StockClient {
    pub(crate) fn over(transport: GrpcTransport) -> Self {
        StockClient(tonic::client::Grpc::with_origin(transport, Uri::from_static("http://stock")))
    }

    pub(crate) async fn level(&mut self, request: Request<Copies>) -> Result<Response<Copies>, Status> {
        self.unary(request, LEVEL).await
    }

    pub(crate) async fn reserve(&mut self, request: Request<Copies>) -> Result<Response<Copies>, Status> {
        self.unary(request, RESERVE).await
    }

    pub(crate) async fn watch(&mut self, request: Request<Copies>) -> Result<Response<CopiesStream>, Status> {
        self.ready().await?;
        let path = PathAndQuery::from_static(WATCH);
        let answer = self.0.server_streaming(request, path, ProstCodec::<Copies, Copies>::default()).await?;
        Ok(answer.map(|copies| Box::pin(copies) as CopiesStream))
    }

    async fn unary(
        &mut self,
        request: Request<Copies>,
        path: &'static str,
    ) -> Result<Response<Copies>, Status> {
        self.ready().await?;
        self.0.unary(request, PathAndQuery::from_static(path), ProstCodec::default()).await
    }

    async fn ready(&mut self) -> Result<(), Status> {
        self.0.ready().await.map_err(|error| Status::unavailable(error.to_string()))
    }
}

impl Copies {
    pub(crate) fn of(isbn: &str, count: u32) -> Self {
        Copies { isbn: isbn.to_owned(), count }
    }
}
