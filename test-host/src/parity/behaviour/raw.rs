//! Behaviours of network filters: one TCP connection, in the host and in Envoy.

use std::{collections::BTreeMap, io, net::SocketAddr};

use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{
    document::Case,
    seen::{SeenConnection, SeenEnd},
};
use crate::{
    message::{RecordedConnection, Security},
    parity::live::tcp::{End, Played},
    proxy::{TcpEnd, TcpOutcome},
};

impl Case {
    /// The cluster that a behaviour of its own connects to.
    pub(super) fn tcp_cluster(&self) -> String {
        format!("{}db", self.prefix)
    }

    /// Its connection, if it is of that kind.
    pub(super) fn connection(&self) -> Result<Option<RecordedConnection>, String> {
        let Some(written) = &self.behaviour.connection else {
            return Ok(None);
        };
        let mut recorded = written
            .clone()
            .recorded("parity", 1)
            .map_err(|(step, what)| format!("{}: connection/steps/{step}: {what}", self.title()))?;
        let peer = |port| Some(SocketAddr::from(([127, 0, 0, 1], port)));
        recorded.connection.local = peer(10_000);
        recorded.connection.remote = peer(40_000);
        recorded.connection.upstream_local = peer(40_001);
        recorded.connection.security = Security::Plain;
        Ok(Some(recorded))
    }
}

/// Where Envoy connects to, by the behaviour's listener. What refuses has nobody.
pub(super) async fn upstreams(cases: &[&Case]) -> io::Result<BTreeMap<String, TcpListener>> {
    let mut upstreams = BTreeMap::new();
    for case in cases {
        if case.behaviour.connection.as_ref().is_some_and(|written| !written.is_refused()) {
            upstreams.insert(case.listener.clone(), TcpListener::bind("127.0.0.1:0").await?);
        }
    }
    Ok(upstreams)
}

/// A listener's filters: the behaviour's, and the tcp_proxy.
pub(super) fn filters(case: &Case, mut wasm: Vec<Value>) -> Vec<Value> {
    for filter in &mut wasm {
        filter["typed_config"]["@type"] =
            json!("type.googleapis.com/envoy.extensions.filters.network.wasm.v3.Wasm");
    }
    wasm.push(json!({ "name": "tcp_proxy", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
        "stat_prefix": "tcp",
        "cluster": case.tcp_cluster(),
    } }));
    wasm
}

pub(super) fn seen_in_host(outcome: &TcpOutcome) -> SeenConnection {
    let closed = outcome.end != TcpEnd::Open;
    SeenConnection {
        upstream: outcome.connected.then(|| SeenEnd {
            got: outcome.upstream.concat().into(),
            closed: closed || outcome.upstream_ended,
        }),
        client: SeenEnd {
            got: outcome.downstream.concat().into(),
            closed: closed || outcome.downstream_ended,
        },
    }
}

pub(super) fn seen_in_envoy(played: &mut Played) -> SeenConnection {
    played.read();
    let seen = |end: &End| SeenEnd { got: end.got.clone().into(), closed: end.closed };
    SeenConnection {
        upstream: played.server.connected.then(|| seen(&played.server)),
        client: seen(&played.client),
    }
}
