//! TCP connections written out by hand: a YAML or JSON file → [`RecordedConnection`]s.
//!
//! ```yaml
//! connections:
//!   - listener: mysql          # without: the first that proxies TCP
//!     proxy: edge              # without: as the file is named, `edge.yaml` or `edge.connections.yaml`
//!     at_ms: 0                 # without: a millisecond after the one before has begun
//!     client: 10.0.0.2:4711    # addresses, where a filter asks for them
//!     local: 10.0.0.1:3306
//!     tls: { server_name: db.example, peer: client.pem } # the client's connection is TLS: `version`, `server_name`, `local`, `peer`, as in scenarios
//!     refused: false           # nobody answers at the upstream
//!     steps:
//!       - client: hello\x00    # bytes as one read brings them; `\xNN` is a byte, `\\` a backslash
//!       - server: world
//!         after_ms: 5          # after the step before
//!       - ends: client         # sends no more
//!       - resets: server       # is gone at once
//! ```

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use serde::Deserialize;

use super::super::sources::named;
use crate::{
    message::written::{self, WrittenTls, unescaped},
    message::{Connection, Origin, Peer, RecordedConnection, Security, TcpEvent, TcpStep},
};

/// Why a file holds no connections.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionsError {
    #[error("{file}: {source}")]
    Io { file: String, source: std::io::Error },
    #[error("{place}: {what}")]
    Wrong { place: String, what: String },
}

/// Files that are larger are refused.
const FILE_MAX: u64 = 64 << 20;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    connections: Vec<WrittenConnection>,
}

/// A connection as it is written; only its reader knows what is in it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenConnection {
    listener: Option<String>,
    proxy: Option<String>,
    at_ms: Option<u64>,
    client: Option<SocketAddr>,
    local: Option<SocketAddr>,
    tls: Option<WrittenTls>,
    upstream_tls: Option<WrittenTls>,
    #[serde(default)]
    refused: bool,
    #[serde(default)]
    steps: Vec<WrittenStep>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenStep {
    client: Option<String>,
    server: Option<String>,
    ends: Option<End>,
    resets: Option<End>,
    #[serde(default)]
    after_ms: u64,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum End {
    Client,
    Server,
}

impl From<End> for Peer {
    fn from(end: End) -> Self {
        match end {
            End::Client => Peer::Client,
            End::Server => Peer::Server,
        }
    }
}

/// Reads a file of connections.
///
/// # Errors
/// It cannot be read, is too large, or is not of the form above; with the place in it.
pub fn load_connections(path: &Path) -> Result<Vec<RecordedConnection>, ConnectionsError> {
    let io = |source| ConnectionsError::Io { file: path.display().to_string(), source };
    let size = std::fs::metadata(path).map_err(io)?.len();
    if size > FILE_MAX {
        let what = format!("found {size} bytes, expected at most {FILE_MAX}");
        return Err(ConnectionsError::Wrong { place: path.display().to_string(), what });
    }
    connections_from_text(&std::fs::read_to_string(path).map_err(io)?, path)
}

/// As [`load_connections`], from text; `path` is what messages name.
///
/// # Errors
/// As [`load_connections`].
pub fn connections_from_text(text: &str, path: &Path) -> Result<Vec<RecordedConnection>, ConnectionsError> {
    let file: File = serde_saphyr::from_str(text).map_err(|error| ConnectionsError::Wrong {
        place: path.display().to_string(),
        what: error.to_string(),
    })?;
    let proxy = named(path).group.proxy;
    let mut began = 0;
    let connections = file.connections.into_iter().zip(1u32..).map(|(mut connection, number)| {
        began = *connection.at_ms.get_or_insert(began);
        let place = |step| format!("{} /connections/{}/steps/{step}", path.display(), number - 1);
        let security = |name: &str, tls: &Option<WrittenTls>| {
            written::security(tls.as_ref(), path.parent().unwrap_or(Path::new(""))).map_err(|what| {
                let place = format!("{} /connections/{}/{name}", path.display(), number - 1);
                ConnectionsError::Wrong { place, what }
            })
        };
        let (of_client, of_upstream) =
            (security("tls", &connection.tls)?, security("upstream_tls", &connection.upstream_tls)?);
        let mut recorded = connection
            .recorded(&proxy, number)
            .map_err(|(step, what)| ConnectionsError::Wrong { place: place(step), what })?;
        recorded.connection.security = of_client;
        recorded.connection.upstream_security = of_upstream;
        began = began.saturating_add(1);
        let origin = Origin { file: path.into(), offset: 0, trace_id: 0 };
        Ok(RecordedConnection { origin, ..recorded })
    });
    connections.collect()
}

impl WrittenConnection {
    /// Whether nobody answers at the upstream.
    pub fn is_refused(&self) -> bool {
        self.refused
    }

    /// The connection it means, `number`-th of a proxy.
    ///
    /// # Errors
    /// The number of a step, and what is wrong with it.
    pub fn recorded(self, proxy: &str, number: u32) -> Result<RecordedConnection, (usize, String)> {
        let mut time = Duration::ZERO;
        let mut steps = Vec::new();
        for (number, step) in self.steps.into_iter().enumerate() {
            time = time.saturating_add(Duration::from_millis(step.after_ms));
            let (from, event) = event(step).map_err(|what| (number, what))?;
            steps.push(TcpStep { at: time, from, event });
        }
        Ok(RecordedConnection {
            proxy: Arc::from(self.proxy.as_deref().unwrap_or(proxy)),
            number,
            origin: Origin { file: Path::new("").into(), offset: 0, trace_id: 0 },
            listener: self.listener,
            began: Some(EPOCH.saturating_add(Duration::from_millis(self.at_ms.unwrap_or_default()))),
            connection: Connection {
                local: self.local,
                remote: self.client,
                security: Security::Plain,
                upstream_security: Security::Plain,
                ..Connection::default()
            },
            refused: self.refused,
            steps,
            notes: Vec::new(),
        })
    }
}

/// Wall time at which what is written by hand begins: 2026-01-01T00:00:00Z.
pub(super) const EPOCH: Duration = Duration::from_secs(1_767_225_600);

fn event(step: WrittenStep) -> Result<(Peer, TcpEvent), String> {
    match step {
        WrittenStep { client: Some(text), server: None, ends: None, resets: None, .. } => {
            Ok((Peer::Client, TcpEvent::Data(unescaped(&text)?)))
        }
        WrittenStep { client: None, server: Some(text), ends: None, resets: None, .. } => {
            Ok((Peer::Server, TcpEvent::Data(unescaped(&text)?)))
        }
        WrittenStep { client: None, server: None, ends: Some(end), resets: None, .. } => {
            Ok((end.into(), TcpEvent::End))
        }
        WrittenStep { client: None, server: None, ends: None, resets: Some(end), .. } => {
            Ok((end.into(), TcpEvent::Reset))
        }
        _ => Err("found none or several of client, server, ends and resets, expected one".to_owned()),
    }
}
