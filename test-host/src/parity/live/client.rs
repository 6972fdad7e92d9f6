//! The client: one request on a connection of its own, chunk by chunk, and what comes back.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _},
    net::{TcpStream, tcp::OwnedReadHalf, tcp::OwnedWriteHalf},
    sync::Mutex,
    time::timeout,
};

use super::{
    tls,
    wire::{self, Kind, Reader, Spelling},
};
use crate::message::{HeaderMap, Message};

/// Longer than any answer of a sound worker takes on a busy machine.
const BARRIER_LIMIT: Duration = Duration::from_secs(10);

/// What the client got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::parity) enum Got {
    Answer(Message),
    /// The connection ended within an answer.
    Part(Message),
    Reset,
    /// Nothing, or no end, until it went away.
    Nothing,
}

type Connection = (Reader<OwnedReadHalf>, OwnedWriteHalf);

/// A listener whose answers tell that the worker has dealt with what came before.
#[derive(Clone, Debug)]
pub(in crate::parity) struct Barrier {
    to: SocketAddr,
    /// Kept between questions.
    connection: Arc<Mutex<Option<Connection>>>,
}

impl Barrier {
    pub(in crate::parity) fn new(to: SocketAddr) -> Self {
        Barrier { to, connection: Arc::default() }
    }

    /// Twice: the first answer may overtake what became readable in the same moment.
    ///
    /// # Errors
    /// The worker does not answer.
    pub(in crate::parity) async fn pass(&self) -> io::Result<()> {
        for _ in 0..2 {
            timeout(BARRIER_LIMIT, self.ask())
                .await
                .map_err(|_| io::Error::other("the worker does not answer"))??;
        }
        Ok(())
    }

    async fn ask(&self) -> io::Result<()> {
        let mut kept = self.connection.lock().await;
        let (mut reader, mut write) = match kept.take() {
            Some(connection) => connection,
            None => connect(self.to).await?,
        };
        write.write_all(b"GET / HTTP/1.1\r\nhost: parity\r\n\r\n").await?;
        if reader.message(Kind::Response { to_head: false }).await?.is_some() {
            *kept = Some((reader, write));
        }
        Ok(())
    }
}

async fn connect(to: SocketAddr) -> io::Result<Connection> {
    let stream = TcpStream::connect(to).await?;
    // Each chunk is a packet of its own.
    stream.set_nodelay(true)?;
    let (read, write) = stream.into_split();
    Ok((Reader::new(read), write))
}

/// A request without a body; the answer.
///
/// # Errors
/// The connection fails, or ends without an answer.
pub(in crate::parity) async fn get(to: SocketAddr, path: &str) -> io::Result<Message> {
    let headers = [(":method", "GET"), (":path", path), (":authority", "parity")];
    let headers = HeaderMap::from_iter(headers.map(|(name, value)| (name, value.to_owned())));
    let (mut reader, mut write) = connect(to).await?;
    let request = Message { headers, ..Message::default() };
    write.write_all(&wire::request_parts(&request, Spelling::LowerCase, false).concat()).await?;
    let answer = reader.message(Kind::Response { to_head: false }).await?;
    answer.ok_or_else(|| io::Error::other("the connection was closed without an answer"))
}

/// A request as it is to be sent.
#[derive(Debug)]
pub(in crate::parity) struct Sending {
    /// With its framing.
    pub(in crate::parity) request: Message,
    /// Names of fields are written in capitals.
    pub(in crate::parity) in_capitals: bool,
    pub(in crate::parity) stalls: bool,
    /// How the connection is encrypted.
    pub(in crate::parity) tls: Option<tls::Client>,
    pub(in crate::parity) patience: Duration,
}

/// Sends a request; what came of it, and the port it was sent from.
///
/// # Errors
/// There is nobody to connect to.
pub(in crate::parity) async fn send(
    to: SocketAddr,
    sending: &Sending,
    barrier: &Barrier,
) -> io::Result<(Got, u16)> {
    let stream = TcpStream::connect(to).await?;
    // Each chunk is a packet of its own.
    stream.set_nodelay(true)?;
    let port = stream.local_addr()?.port();
    let (read, write) = tls::connected(stream, sending.tls.as_ref()).await?;
    let to_head = sending.request.headers.first(b":method").is_some_and(|method| &method[..] == b"HEAD");
    let answered = async {
        tokio::select! {
            got = receive(read, to_head) => got,
            never = write_parts(write, sending, barrier) => match never {},
        }
    };
    Ok((timeout(sending.patience, answered).await.unwrap_or(Got::Nothing), port))
}

async fn receive(read: impl AsyncRead + Unpin, to_head: bool) -> Got {
    let mut reader = Reader::new(read);
    match reader.message(Kind::Response { to_head }).await {
        Ok(Some(message)) => Got::Answer(message),
        Ok(None) => Got::Reset,
        Err(_) => reader.take_part().map_or(Got::Reset, Got::Part),
    }
}

/// A proxy may answer before it has read everything, and then close: what cannot be written any more is no error.
async fn write_parts(
    mut write: impl AsyncWrite + Unpin,
    sending: &Sending,
    barrier: &Barrier,
) -> std::convert::Infallible {
    let spelling = if sending.in_capitals { Spelling::Capitals } else { Spelling::LowerCase };
    for (number, part) in wire::request_parts(&sending.request, spelling, sending.stalls).iter().enumerate() {
        if number > 0 && barrier.pass().await.is_err() {
            break;
        }
        if write.write_all(part).await.is_err() || write.flush().await.is_err() {
            break;
        }
    }
    // The connection stays open in both directions.
    std::future::pending().await
}
