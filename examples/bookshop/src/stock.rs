//! The stock keeper: gRPC only. How many copies there are follows from the title's number.

use tonic::{Request, Response, Status};

use crate::stock_api::{self, Copies, CopiesStream, Stock};

/// A watcher is cut off behind this many answers, with an error in the trailers.
const WATCH_LIMIT: u32 = 4;

pub(crate) fn routes() -> axum::Router {
    stock_api::routes(Shelves)
}

#[derive(Clone, Debug)]
struct Shelves;

/// Titles whose number starts with 0 are not known here.
fn copies_of(isbn: &str) -> Result<u32, Status> {
    if isbn.starts_with('0') || isbn.is_empty() {
        return Err(Status::not_found(format!("no title {isbn:?}")));
    }
    Ok(isbn.bytes().filter(u8::is_ascii_digit).map(|digit| u32::from(digit - b'0')).sum())
}

impl Stock for Shelves {
    async fn level(&self, request: Request<Copies>) -> Result<Response<Copies>, Status> {
        let Copies { isbn, .. } = request.into_inner();
        Ok(Response::new(Copies::of(&isbn, copies_of(&isbn)?)))
    }

    async fn reserve(&self, request: Request<Copies>) -> Result<Response<Copies>, Status> {
        let Copies { isbn, count } = request.into_inner();
        let there = copies_of(&isbn)?;
        match there.checked_sub(count) {
            Some(left) => Ok(Response::new(Copies::of(&isbn, left))),
            None => Err(Status::failed_precondition(format!("{count} copies asked for, {there} there"))),
        }
    }

    async fn watch(&self, request: Request<Copies>) -> Result<Response<CopiesStream>, Status> {
        let Copies { isbn, count } = request.into_inner();
        let there = copies_of(&isbn)?;
        let mut answers: Vec<_> = (0..count.min(WATCH_LIMIT))
            .map(|sold| Ok(Copies::of(&isbn, there.saturating_sub(sold))))
            .collect();
        if count > WATCH_LIMIT {
            answers.push(Err(Status::resource_exhausted(format!("{WATCH_LIMIT} answers are the most"))));
        }
        Ok(Response::new(Box::pin(tokio_stream::iter(answers))))
    }
}

#[cfg(test)]
mod tests {
    use tokio_stream::StreamExt as _;
    use tonic::Code;

    use super::*;
    use crate::{
        Service,
        outbound::{Outbound, Propagated},
        stock_api::StockClient,
    };

    /// A client of a stock keeper that it reaches without a sidecar.
    async fn client() -> StockClient {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(crate::serve(Service::Stock, listener, address));
        StockClient::over(Outbound::through(address).grpc(Propagated::default()))
    }

    #[tokio::test]
    async fn copies_can_be_reserved_while_there_are_any() {
        let mut stock = client().await;
        let there = stock.level(Request::new(Copies::of("123", 0))).await.unwrap().into_inner();
        assert_eq!(there.count, 6);
        let left = stock.reserve(Request::new(Copies::of("123", 4))).await.unwrap().into_inner();
        assert_eq!(left.count, 2);
        let refused = stock.reserve(Request::new(Copies::of("123", 7))).await.unwrap_err();
        assert_eq!(refused.code(), Code::FailedPrecondition);
    }

    #[tokio::test]
    async fn a_watcher_that_wants_too_much_gets_an_error_behind_the_last_answer() {
        let mut stock = client().await;
        let mut answers = stock.watch(Request::new(Copies::of("123", 9))).await.unwrap().into_inner();
        for left in [6, 5, 4, 3] {
            assert_eq!(answers.next().await.unwrap().unwrap().count, left);
        }
        assert_eq!(answers.next().await.unwrap().unwrap_err().code(), Code::ResourceExhausted);
    }
}
