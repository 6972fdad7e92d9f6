//! A reply is returned, and so sent once.
use wayside_sdk::{Flow, Reply};

fn twice(reply: Reply) -> (Flow, Flow) {
    (reply.into(), reply.into())
}

fn main() {}
