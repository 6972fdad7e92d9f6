//! What the router knows of one stream: the route it chose, and how its one attempt goes.

use std::{sync::Arc, time::Duration};

use crate::proxy::streams::router_timeouts::RouteTimeout;
use crate::router::{SelectedRoute, VirtualHost};

/// A route, with the cluster picked where it goes to one.
#[derive(Debug)]
pub(crate) struct Chosen {
    pub(crate) route: SelectedRoute,
    /// Where the route names none itself.
    pub(crate) picked: Option<String>,
}

impl Chosen {
    pub(crate) fn cluster(&self) -> Option<&str> {
        self.route.named_cluster().or(self.picked.as_deref())
    }
}

#[derive(Clone, Debug, Default)]
pub(crate) enum Choice {
    /// Not asked for yet, or cleared by a header edit.
    #[default]
    Open,
    NoMatch,
    Chosen(Arc<Chosen>),
}

#[derive(Clone, Debug, Default)]
pub(crate) struct RouteState {
    pub(crate) choice: Choice,
    /// What properties show: the last choice made, also after an edit of the headers has voided it (seen on Envoy 1.40).
    pub(crate) shown: Choice,
    /// The virtual host of that choice, also where none of its routes matched.
    pub(crate) virtual_host: Option<Arc<VirtualHost>>,
    /// Once the response has begun, the route stays.
    pub(crate) frozen: bool,
    /// When the request's headers went to the upstream.
    pub(crate) sent: Option<Duration>,
    /// When the upstream's answer came.
    pub(crate) answered: Option<Duration>,
    pub(crate) attempts: u32,
    /// What bounds the wait for the answer, from the end of the request.
    pub(crate) timeouts: [Option<(Duration, RouteTimeout)>; 2],
    /// What bounds the attempt, from its headers on.
    pub(crate) stream_duration: Option<Duration>,
    /// A timeout is told by 204 instead of 504.
    pub(crate) alternative_response: bool,
}

impl RouteState {
    pub(crate) fn clear(&mut self) {
        if !self.frozen {
            self.choice = Choice::Open;
        }
    }

    pub(crate) fn choose(&mut self, choice: Choice) {
        self.shown = choice.clone();
        self.choice = choice;
    }

    pub(crate) fn chosen(&self) -> Option<&SelectedRoute> {
        match &self.shown {
            Choice::Chosen(chosen) => Some(&chosen.route),
            Choice::Open | Choice::NoMatch => None,
        }
    }

    pub(crate) fn cluster(&self) -> Option<&str> {
        match &self.shown {
            Choice::Chosen(chosen) => chosen.cluster(),
            Choice::Open | Choice::NoMatch => None,
        }
    }
}
