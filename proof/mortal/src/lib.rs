//! retry-budget beside a filter that panics where a request has the header `x-die`: so its VM dies in the middle of its work.

use std::rc::Rc;

use wayside_sdk::prelude::*;

/// Nothing to configure.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {}

/// Kills the VM it is in.
#[derive(Debug)]
pub struct Mortal;

impl RequestFilter for Mortal {
    const NAME: &'static str = "mortal";
    type Config = Config;

    fn configure(_: Config, _: &mut Init) -> Result<Mortal, ConfigErrors> {
        Ok(Mortal)
    }

    fn on_request_headers(self: Rc<Self>, request: RequestHeaders) -> FlowResult {
        #[expect(clippy::panic, reason = "that is what it is for")]
        if request.headers.first(name!("x-die"))?.is_some() {
            panic!("asked to die");
        }
        Ok(Flow::Continue)
    }
}

wayside_sdk::plugin!(Mortal, retry_budget::filter::RetryBudget);
