//! Envoy has not said yet what the stream is: whatever asked for it would ask for the stream that ran last.
use std::rc::Rc;
use wayside_sdk::{Cluster, ConfigErrors, HttpFilter, Init, Plugin, Stream, config::Json};

struct Early(Cluster);
struct Filter;

impl HttpFilter for Filter {}

impl Plugin for Early {
    const NAME: &'static str = "early";
    type Config = Json;
    type Filter = Filter;

    fn configure(_: Json, _: &mut Init) -> Result<Early, ConfigErrors> {
        Ok(Early(Cluster::new("auth")))
    }

    fn stream(self: &Rc<Self>, stream: &Stream) -> Filter {
        let _ = self.0.call("GET", "/").send(stream);
        Filter
    }
}

fn main() {}
