//! A raw connection through Envoy: both of its ends, played step by step.

use std::{io, net::SocketAddr, time::Duration};

use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};

use super::client::Barrier;
use crate::message::{Peer, TcpEvent, TcpStep};

/// How long Envoy may take to connect to the upstream; a filter may keep it from doing so at all.
const CONNECT_LIMIT: Duration = Duration::from_millis(300);

/// So many rounds of so long without anything new are the end.
const QUIET_ROUNDS: u32 = 3;
const ROUND: Duration = Duration::from_millis(15);

/// One end as the runner holds it.
#[derive(Debug, Default)]
pub(in crate::parity) struct End {
    stream: Option<TcpStream>,
    /// What it got.
    pub(in crate::parity) got: Vec<u8>,
    /// The proxy has closed it, or will send no more.
    pub(in crate::parity) closed: bool,
    pub(in crate::parity) connected: bool,
}

/// Both ends of a connection through Envoy. It stays open for as long as this value is kept.
#[derive(Debug, Default)]
pub(in crate::parity) struct Played {
    pub(in crate::parity) client: End,
    pub(in crate::parity) server: End,
}

/// Plays a connection. `upstream`: where Envoy connects to; `None` where it is refused.
///
/// # Errors
/// There is nobody to connect to, or the worker does not answer.
pub(in crate::parity) async fn play(
    to: SocketAddr,
    upstream: Option<&TcpListener>,
    steps: &[TcpStep],
    barrier: &Barrier,
) -> io::Result<Played> {
    let stream = TcpStream::connect(to).await?;
    stream.set_nodelay(true)?;
    let mut played = Played { client: End::of(stream), server: End::default() };
    if let Some(upstream) = upstream {
        played.accept(upstream).await;
    }
    barrier.pass().await?;
    let mut before = Duration::ZERO;
    for step in steps {
        sleep(step.at.saturating_sub(before)).await;
        before = step.at;
        if step.from == Peer::Server
            && !played.server.connected
            && let Some(upstream) = upstream
        {
            played.accept(upstream).await;
        }
        let end = match step.from {
            Peer::Client => &mut played.client,
            Peer::Server => &mut played.server,
        };
        end.does(&step.event).await;
        barrier.pass().await?;
    }
    if let Some(upstream) = upstream.filter(|_| !played.server.connected) {
        played.accept(upstream).await;
    }
    played.settle(barrier).await?;
    Ok(played)
}

impl Played {
    async fn accept(&mut self, upstream: &TcpListener) {
        if let Ok(Ok((stream, _))) = timeout(CONNECT_LIMIT, upstream.accept()).await {
            drop(stream.set_nodelay(true));
            self.server = End::of(stream);
        }
    }

    /// Waits until nothing more comes in.
    async fn settle(&mut self, barrier: &Barrier) -> io::Result<()> {
        let amount = |played: &Played| {
            let of = |end: &End| (end.got.len(), end.closed);
            (of(&played.client), of(&played.server))
        };
        let mut quiet = 0;
        while quiet < QUIET_ROUNDS {
            let before = amount(self);
            sleep(ROUND).await;
            barrier.pass().await?;
            self.read();
            quiet = if amount(self) == before { quiet + 1 } else { 0 };
        }
        Ok(())
    }

    /// Reads what has come in at both ends.
    pub(in crate::parity) fn read(&mut self) {
        self.client.read();
        self.server.read();
    }
}

impl End {
    fn of(stream: TcpStream) -> Self {
        End { stream: Some(stream), connected: true, ..End::default() }
    }

    /// A proxy may have closed it meanwhile: what cannot be sent any more is no error.
    async fn does(&mut self, event: &TcpEvent) {
        self.read();
        let Some(stream) = &mut self.stream else { return };
        match event {
            TcpEvent::Data(data) => drop(stream.write_all(data).await),
            TcpEvent::End => drop(stream.shutdown().await),
            TcpEvent::Reset => {
                drop(stream.set_zero_linger());
                self.stream = None;
                self.closed = true;
            }
        }
    }

    fn read(&mut self) {
        let Some(stream) = &self.stream else { return };
        let mut buffer = [0; 4096];
        loop {
            match stream.try_read(&mut buffer) {
                Ok(0) => {
                    self.closed = true;
                    return;
                }
                Ok(count) => self.got.extend_from_slice(buffer.get(..count).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => {
                    self.closed = true;
                    return;
                }
            }
        }
    }
}
