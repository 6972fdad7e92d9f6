//! The shop window: the one service that clients outside talk to.

use axum::{
    Json, Router,
    body::{Body, to_bytes},
    extract::{Path, Request, State},
    http::{HeaderMap, StatusCode, Uri, header},
    response::{AppendHeaders, IntoResponse, Response},
    routing::{any, get, post},
};
use serde_json::{Value, json};
use tonic::Status;

use crate::{
    outbound::{Outbound, Propagated},
    stock_api::{self, Copies, CopiesStream, Stock, StockClient},
    text,
};

/// The longest answer that a page is put together from.
const LONGEST_PART: usize = 1024 * 1024;

pub(crate) fn routes(outbound: Outbound) -> Router {
    Router::new()
        .route("/", get(window))
        .route("/admin", get(async || "the back room\n"))
        .route("/catalogue.txt", get(async || text::of_length(300 * 1024)))
        .route("/books", get(forward_to_catalog).options(allowed))
        .route("/books/{isbn}", get(book))
        .route("/books/{isbn}/sample", get(forward_to_catalog))
        .route("/books/{isbn}/reviews", post(add_review))
        .route("/orders", post(forward_to_catalog))
        .route("/elsewhere/{service}", any(elsewhere))
        .fallback(async || (StatusCode::NOT_FOUND, Json(json!({ "error": "no such page" }))))
        .with_state(outbound.clone())
        .merge(stock_api::routes(ForwardedStock(outbound)))
}

async fn window() -> impl IntoResponse {
    let cookies = AppendHeaders([
        (header::SET_COOKIE, "visit=1; Path=/; HttpOnly"),
        (header::SET_COOKIE, "theme=paper; Path=/"),
        (header::VARY, "accept"),
        (header::VARY, "cookie"),
    ]);
    (cookies, "Welcome to the bookshop.\n")
}

async fn allowed() -> impl IntoResponse {
    (StatusCode::NO_CONTENT, [(header::ALLOW, "GET, HEAD, OPTIONS")])
}

/// The same request to the catalog, body as it comes, and the catalog's answer as it comes.
async fn forward_to_catalog(State(outbound): State<Outbound>, request: Request) -> Response {
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str()).to_owned();
    forward(outbound, request, format!("http://catalog{path}")).await
}

async fn add_review(
    State(outbound): State<Outbound>,
    Path(isbn): Path<String>,
    request: Request,
) -> Response {
    forward(outbound, request, format!("http://reviews/reviews/{isbn}")).await
}

/// Asks a service that the sidecar has no route or no endpoint for: the answer is the sidecar's own.
async fn elsewhere(
    State(outbound): State<Outbound>,
    Path(service): Path<String>,
    request: Request,
) -> Response {
    forward(outbound, request, format!("http://{service}/")).await
}

async fn forward(outbound: Outbound, request: Request, uri: String) -> Response {
    let Ok(uri) = uri.parse::<Uri>() else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let propagated = Propagated::from(request.headers());
    let (head, body) = request.into_parts();
    let mut onward = Request::new(body);
    *onward.method_mut() = head.method;
    *onward.uri_mut() = uri;
    for name in [header::CONTENT_TYPE, header::CONTENT_LENGTH] {
        if let Some(value) = head.headers.get(&name) {
            onward.headers_mut().insert(name, value.clone());
        }
    }
    only_what_concerns_the_client(outbound.send(&propagated, onward).await)
}

/// A proxy's notes on one hop are not for the next one.
fn only_what_concerns_the_client(mut answer: Response<Body>) -> Response {
    for name in
        ["x-envoy-upstream-service-time", "x-envoy-attempt-count", "server", "date", "transfer-encoding"]
    {
        answer.headers_mut().remove(name);
    }
    answer
}

/// A page from two services asked at the same time. Without the catalog there is no page; without reviews there is.
async fn book(State(outbound): State<Outbound>, Path(isbn): Path<String>, headers: HeaderMap) -> Response {
    let propagated = Propagated::from(&headers);
    let uri = |text: String| text.parse::<Uri>().unwrap_or_default();
    let (book, reviews) = tokio::join!(
        outbound.get(&propagated, uri(format!("http://catalog/books/{isbn}"))),
        outbound.get(&propagated, uri(format!("http://reviews/reviews/{isbn}"))),
    );
    if !book.status().is_success() {
        return only_what_concerns_the_client(book);
    }
    Json(json!({ "book": part(book).await, "reviews": part(reviews).await })).into_response()
}

/// The JSON of an answer, or what became of it.
async fn part(answer: Response<Body>) -> Value {
    let status = answer.status();
    match to_bytes(answer.into_body(), LONGEST_PART).await {
        Ok(body) if status.is_success() => serde_json::from_slice(&body).unwrap_or(Value::Null),
        Ok(_) => json!({ "unavailable": status.as_u16() }),
        Err(_) => json!({ "unavailable": "answer broke off" }),
    }
}

/// The stock keeper's service, offered to clients outside.
#[derive(Clone, Debug)]
struct ForwardedStock(Outbound);

impl ForwardedStock {
    fn client(&self, request: &tonic::Request<Copies>) -> StockClient {
        StockClient::over(self.0.grpc(Propagated::from(&request.metadata().clone().into_headers())))
    }
}

type Answer<T> = Result<tonic::Response<T>, Status>;

impl Stock for ForwardedStock {
    async fn level(&self, request: tonic::Request<Copies>) -> Answer<Copies> {
        onward(self.client(&request).level(tonic::Request::new(request.into_inner())).await)
    }

    async fn reserve(&self, request: tonic::Request<Copies>) -> Answer<Copies> {
        onward(self.client(&request).reserve(tonic::Request::new(request.into_inner())).await)
    }

    async fn watch(&self, request: tonic::Request<Copies>) -> Answer<CopiesStream> {
        onward(self.client(&request).watch(tonic::Request::new(request.into_inner())).await)
    }
}

/// An answer or a status without the metadata of the hop it came from.
fn onward<T>(answer: Answer<T>) -> Answer<T> {
    match answer {
        Ok(answer) => Ok(tonic::Response::new(answer.into_inner())),
        Err(status) => Err(Status::new(status.code(), status.message())),
    }
}
