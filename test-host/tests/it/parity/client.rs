//! The client: one request on a connection of its own, and what comes back.

use std::{io, net::SocketAddr, time::Duration};

use tokio::{io::AsyncWriteExt as _, net::TcpStream, time::timeout};
use wayside::message::Message;

use super::wire::{self, Kind, Reader, Spelling};

/// Longer than any answer takes on a busy machine: what waits for it is stuck.
const LIMIT: Duration = Duration::from_secs(20);

/// Sends a request and gives the answer. `None`: the connection was closed without one.
pub(super) async fn send(
    to: SocketAddr,
    request: &Message,
    spelling: Spelling,
) -> io::Result<Option<Message>> {
    let to_head = request.headers.first(b":method").is_some_and(|method| &method[..] == b"HEAD");
    let bytes = wire::request(request, spelling);
    let exchange = async {
        let mut stream = TcpStream::connect(to).await?;
        let (read, mut write) = stream.split();
        let mut reader = Reader::new(read);
        let answer = reader.message(Kind::Response { to_head });
        // A proxy may answer before it has read everything, and then close: what cannot be written any more is no error.
        let sending = async {
            drop(write.write_all(&bytes).await);
            std::future::pending::<()>().await;
        };
        tokio::select! {
            answer = answer => answer,
            () = sending => Ok(None),
        }
    };
    timeout(LIMIT, exchange)
        .await
        .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "no answer in time"))?
}
