//! For the many filters that look at requests and keep nothing of a stream.

use super::{HttpFilter, Init, Plugin};
use crate::config::{ConfigErrors, Configuration};
use crate::stream::RequestHeaders;
use crate::stream::reply::{Flow, FlowResult};
use std::rc::Rc;

/// A filter of one callback: a [`Plugin`] whose streams have nothing of their own.
pub trait RequestFilter: Sized + 'static {
    /// As [`Plugin::NAME`].
    const NAME: &'static str;
    /// As [`Plugin::Config`].
    type Config: Configuration;

    /// As [`Plugin::configure`].
    ///
    /// # Errors
    /// Each is logged with its place in the configuration; Envoy then refuses the filter.
    fn configure(config: Self::Config, init: &mut Init) -> Result<Self, ConfigErrors>;

    /// # Errors
    /// What the client is answered.
    fn on_request_headers(self: Rc<Self>, request: RequestHeaders) -> FlowResult;
}

impl<P: RequestFilter> Plugin for P {
    const NAME: &'static str = <P as RequestFilter>::NAME;
    type Config = <P as RequestFilter>::Config;
    type Filter = OfRequest<P>;

    fn configure(config: Self::Config, init: &mut Init) -> Result<P, ConfigErrors> {
        <P as RequestFilter>::configure(config, init)
    }

    fn stream(self: &Rc<Self>) -> OfRequest<P> {
        OfRequest(self.clone())
    }
}

/// A stream of a [`RequestFilter`].
#[derive(Debug)]
pub struct OfRequest<P>(Rc<P>);

impl<P: RequestFilter> HttpFilter for OfRequest<P> {
    fn on_request_headers(&mut self, request: RequestHeaders) -> Flow {
        self.0.clone().on_request_headers(request).into()
    }
}
