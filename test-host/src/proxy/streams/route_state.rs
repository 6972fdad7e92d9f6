//! What the router knows of one stream: the route it chose, and how its attempts go.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use smallvec::SmallVec;

use crate::proxy::streams::router_timeouts::Timeouts;
use crate::router::{RetryState, Route, SelectedRoute, VirtualHost};
use crate::stream::Reply;

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
    /// Of the last attempt.
    pub(crate) connected: bool,
    /// The router is being shown a part of the request: a reply waits until that is over.
    pub(crate) in_router: bool,
    pub(crate) prepared: Option<Reply>,
    /// When the upstream's answer came.
    pub(crate) answered: Option<Duration>,
    /// How many there have been; of a recording, as many as it tells of.
    pub(crate) attempts: u32,
    /// Those under way, the oldest first.
    pub(crate) open: SmallVec<[Attempt; 2]>,
    /// `None`: no further attempt is made.
    pub(crate) retry: Option<RetryState>,
    /// It counts among the cluster's requests that are being tried again.
    pub(crate) retries: bool,
    /// Further attempts that wait for their time.
    pub(crate) pending: u32,
    pub(in crate::proxy) timeouts: Timeouts,
    /// When the request's end had passed the filters.
    pub(crate) request_complete: Option<Duration>,
    /// The body as it passed them, where it may be sent again.
    pub(crate) kept: Vec<Bytes>,
}

/// An attempt under way.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    pub(crate) number: u32,
    pub(crate) awaits_headers: bool,
    /// Another was begun beside it, because it took too long.
    pub(crate) hedged: bool,
    /// Upstream filters stand before it.
    pub(crate) has_chain: bool,
}

impl RouteState {
    pub(crate) fn clear(&mut self) {
        if !self.frozen {
            self.choice = Choice::Open;
        }
    }

    pub(crate) fn attempt(&mut self, number: u32) -> Option<&mut Attempt> {
        self.open.iter_mut().find(|attempt| attempt.number == number)
    }

    /// Another attempt may still come to an answer.
    pub(crate) fn has_hope(&self) -> bool {
        self.pending > 0 || self.open.iter().any(|attempt| attempt.awaits_headers)
    }

    /// Whether the choice last made would be made again, to the same cluster.
    pub(crate) fn is_of(&self, route: &Arc<Route>) -> bool {
        matches!(&self.shown, Choice::Chosen(shown)
            if Arc::ptr_eq(&shown.route.route, route) && shown.route.named_cluster().is_some())
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
