//! Only headers whose body is to come are held, and they are watched.
use wayside_sdk::{Flow, Hold, RequestTrailers};

fn on_request_trailers(_: RequestTrailers) -> Flow {
    Flow::Hold(Hold::new())
}

fn main() {}
