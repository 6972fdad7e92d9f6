//! In one module each filter has a section of the configuration, under its name.
use std::rc::Rc;
use wayside_sdk::{ConfigErrors, HttpFilter, Init, Plugin, config::Json};

struct Filter;
struct One;
struct Other;

impl HttpFilter for Filter {}

macro_rules! same_name {
    ($($plugin:ident)*) => {
        $(impl Plugin for $plugin {
            const NAME: &'static str = "same";
            type Config = Json;
            type Filter = Filter;

            fn configure(_: Json, _: &mut Init) -> Result<$plugin, ConfigErrors> {
                Ok($plugin)
            }

            fn stream(self: &Rc<Self>) -> Filter {
                Filter
            }
        })*
    };
}

same_name!(One Other);

wayside_sdk::plugin!(One, Other);

fn main() {}
