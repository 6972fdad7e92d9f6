//! A filter that does nothing: what the layer itself weighs.

use std::rc::Rc;
use wayside_sdk::{ConfigErrors, HttpFilter, Init, Plugin, config::Json};

struct Empty;

impl Plugin for Empty {
    const NAME: &'static str = "empty";
    type Config = Json;
    type Filter = Empty;

    fn configure(_: Json, _: &mut Init) -> Result<Empty, ConfigErrors> {
        Ok(Empty)
    }

    fn stream(self: &Rc<Self>) -> Empty {
        Empty
    }
}

impl HttpFilter for Empty {}

wayside_sdk::plugin!(Empty);
