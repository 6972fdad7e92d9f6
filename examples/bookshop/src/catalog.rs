//! The titles, samples of their text, and orders, which the stock keeper has the last word on.

use std::time::Duration;

use axum::{
    Json, Router,
    body::Body,
    extract::{Path, Query, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio_stream::StreamExt as _;
use tonic::{Code, Request};

use crate::{
    outbound::{Outbound, Propagated},
    stock_api::{Copies, StockClient},
    text,
};

pub(crate) fn routes(outbound: Outbound) -> Router {
    Router::new()
        .route("/books", get(list))
        .route("/books/{isbn}", get(book))
        .route("/books/{isbn}/sample", get(sample))
        .route("/orders", post(order))
        .with_state(outbound)
}

async fn list() -> Json<Value> {
    Json(json!(
        (1..=40).map(|n| json!({ "isbn": format!("978{n:04}"), "title": title(n) })).collect::<Vec<_>>()
    ))
}

fn title(number: u32) -> String {
    format!("The Quiet Harbour, volume {number}")
}

async fn book(State(outbound): State<Outbound>, Path(isbn): Path<String>, headers: HeaderMap) -> Response {
    let mut stock = StockClient::over(outbound.grpc(Propagated::from(&headers)));
    match stock.level(Request::new(Copies::of(&isbn, 0))).await {
        Ok(level) => Json(json!({ "isbn": isbn, "title": title(1), "copies": level.into_inner().count }))
            .into_response(),
        Err(status) => refusal(&status),
    }
}

#[derive(Deserialize)]
struct Order {
    isbn: String,
    copies: u32,
}

async fn order(State(outbound): State<Outbound>, headers: HeaderMap, Json(order): Json<Order>) -> Response {
    let mut stock = StockClient::over(outbound.grpc(Propagated::from(&headers)));
    match stock.reserve(Request::new(Copies::of(&order.isbn, order.copies))).await {
        Ok(left) => {
            (StatusCode::CREATED, Json(json!({ "isbn": order.isbn, "copies_left": left.into_inner().count })))
                .into_response()
        }
        Err(status) => refusal(&status),
    }
}

/// A gRPC status in HTTP's words.
fn refusal(status: &tonic::Status) -> Response {
    let code = match status.code() {
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::FailedPrecondition => StatusCode::CONFLICT,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        _ => StatusCode::BAD_GATEWAY,
    };
    (code, Json(json!({ "error": status.message() }))).into_response()
}

/// `bytes` of text in chunks of `chunk` bytes with `pause_ms` between them; all at once, with a length, without `chunk`.
#[derive(Deserialize)]
struct Sample {
    bytes: usize,
    chunk: Option<usize>,
    #[serde(default)]
    pause_ms: u64,
}

/// Longer texts are not given out.
const LONGEST_SAMPLE: usize = 1024 * 1024;

async fn sample(Query(asked): Query<Sample>) -> Response {
    if asked.bytes > LONGEST_SAMPLE {
        return (StatusCode::BAD_REQUEST, format!("a sample has at most {LONGEST_SAMPLE} bytes\n"))
            .into_response();
    }
    let text = text::of_length(asked.bytes);
    let body = match asked.chunk {
        None => Body::from(text),
        Some(size) => {
            Body::from_stream(tokio_stream::iter(text::in_chunks(text, size).collect::<Vec<_>>()).then(
                move |chunk| async move {
                    tokio::time::sleep(Duration::from_millis(asked.pause_ms)).await;
                    Ok::<_, std::convert::Infallible>(chunk)
                },
            ))
        }
    };
    ([("content-type", "text/plain")], body).into_response()
}
