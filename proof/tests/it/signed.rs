//! What the cases about signed messages share: a door, and requests written line by line.

use std::{net::SocketAddr, path::Path};

use anyhow::Context as _;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use wayside_proof::Door;

/// A door with header-auth that asks for a signature, and may hold headers until it has seen the body.
pub(crate) fn door(name: &str, upstream: SocketAddr, module: &Path, provider: &Value) -> Door {
    let configuration = json!({
        "version": 1, "providers": { "signed": provider }, "defaults": { "require": { "any": ["signed"] } },
    });
    let filter = json!({ "name": name, "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
        "config": {
            "name": name,
            "root_id": name,
            "failure_policy": "FAIL_RELOAD",
            "allow_on_headers_stop_iteration": true,
            "configuration": { "@type": "type.googleapis.com/google.protobuf.StringValue", "value": configuration.to_string() },
            "vm_config": {
                "vm_id": name,
                "runtime": "envoy.wasm.runtime.v8",
                "code": { "local": { "filename": module } },
            },
        },
    } });
    let mut door = Door::new(name, upstream);
    door.native.push(filter);
    door
}

/// One connection, on which requests go as they are written.
pub(crate) struct Line(TcpStream);

impl Line {
    pub(crate) async fn to(address: SocketAddr) -> anyhow::Result<Line> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Line(stream))
    }

    pub(crate) async fn write(&mut self, text: &str) -> anyhow::Result<()> {
        self.0.write_all(text.as_bytes()).await?;
        Ok(self.0.flush().await?)
    }

    /// The status of the next answer, which is read to its end.
    pub(crate) async fn status(&mut self) -> anyhow::Result<u16> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.0.read_u8().await.context("an answer's head")?);
        }
        let head = String::from_utf8(head)?.to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.context("no length")?.parse()?];
        self.0.read_exact(&mut body).await?;
        Ok(head.split(' ').nth(1).context("no status")?.parse()?)
    }

    /// The status of the answer to this request.
    pub(crate) async fn ask(&mut self, text: &str) -> anyhow::Result<u16> {
        self.write(text).await?;
        self.status().await
    }
}
