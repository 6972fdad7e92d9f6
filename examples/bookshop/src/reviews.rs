//! Reviews, each with the stars that the ratings service has for it.

use axum::{
    Json, Router,
    body::{Body, to_bytes},
    extract::{DefaultBodyLimit, Path, State},
    http::{HeaderMap, StatusCode, Uri},
    response::{IntoResponse, Response},
    routing::get,
};
use bytes::Bytes;
use serde_json::{Value, json};

use crate::outbound::{Outbound, Propagated};

/// A review may be this long, and an answer from ratings too.
const LONGEST: usize = 1024 * 1024;

pub(crate) fn routes(outbound: Outbound) -> Router {
    Router::new()
        .route("/reviews/{isbn}", get(reviews).post(add))
        .layer(DefaultBodyLimit::max(LONGEST))
        .with_state(outbound)
}

async fn reviews(
    State(outbound): State<Outbound>,
    Path(isbn): Path<String>,
    headers: HeaderMap,
) -> Result<Json<Value>, StatusCode> {
    let uri: Uri = format!("http://ratings/ratings/{isbn}").parse().map_err(|_| StatusCode::BAD_REQUEST)?;
    let answer = outbound.get(&Propagated::from(&headers), uri).await;
    let stars = stars(answer).await;
    Ok(Json(json!({ "isbn": isbn, "reviews": [{ "text": "Read it in one night.", "stars": stars }] })))
}

/// The stars in an answer of the ratings service, or why there are none: reviews are shown without them, too.
async fn stars(answer: Response<Body>) -> Value {
    let status = answer.status();
    let body = to_bytes(answer.into_body(), LONGEST).await.unwrap_or_default();
    match serde_json::from_slice::<Value>(&body) {
        Ok(rating) if status.is_success() => rating["stars"].clone(),
        _ => json!({ "unavailable": status.as_u16() }),
    }
}

async fn add(Path(isbn): Path<String>, text: Bytes) -> impl IntoResponse {
    let location = format!("/books/{isbn}/reviews/1");
    (StatusCode::CREATED, [("location", location)], Json(json!({ "isbn": isbn, "bytes": text.len() })))
}
