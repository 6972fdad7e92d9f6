//! Questions to an Envoy's admin interface.

use std::net::SocketAddr;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::{Method, Request, header::HOST};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

/// Every question has a connection of its own: the answers are few, and the last one is a farewell.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Admin(pub(crate) SocketAddr);

impl Admin {
    pub(crate) async fn is_ready(self) -> bool {
        self.ask(Method::GET, "/ready").await.is_ok()
    }

    /// The port that a listener got.
    pub(crate) async fn listener_port(self, name: &str) -> anyhow::Result<u16> {
        let listeners = self.json("/listeners?format=json").await?;
        listeners["listener_statuses"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|listener| listener["name"] == name)
            .and_then(|listener| listener["local_address"]["socket_address"]["port_value"].as_u64())
            .and_then(|port| port.try_into().ok())
            .with_context(|| format!("/listeners: expected the port of {name:?}, found {listeners}"))
    }

    /// The value of one counter or gauge.
    pub(crate) async fn stat(self, name: &str) -> anyhow::Result<u64> {
        let stats = self.json(&format!("/stats?format=json&filter=^{}$", name.replace('.', "\\."))).await?;
        stats["stats"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|stat| stat["name"] == name)
            .and_then(|stat| stat["value"].as_u64())
            .with_context(|| format!("/stats: expected {name}, found {stats}"))
    }

    pub(crate) async fn quit(self) -> anyhow::Result<()> {
        self.ask(Method::POST, "/quitquitquit").await.map(drop)
    }

    async fn json(self, path: &str) -> anyhow::Result<Value> {
        let body = self.ask(Method::GET, path).await?;
        serde_json::from_slice(&body).with_context(|| format!("{path}: expected JSON"))
    }

    async fn ask(self, method: Method, path: &str) -> anyhow::Result<Bytes> {
        let stream = TcpStream::connect(self.0).await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let talking = tokio::spawn(connection);
        let request =
            Request::builder().method(method).uri(path).header(HOST, "admin").body(Empty::<Bytes>::new())?;
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        talking.abort();
        ensure!(status.is_success(), "{path}: {status}");
        Ok(body)
    }
}
