//! One request on a connection of its own, and what comes back.

use std::{
    io::{self, ErrorKind, Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpStream},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request};

use crate::message::{Message, Protocol};

const PATIENCE: Duration = Duration::from_secs(5);
/// Of an answer, as much as is looked at.
const ANSWER_MAX: usize = 1 << 20;

/// The head of an answer and what followed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    /// `None`: the connection or the stream ended without an answer.
    pub(crate) status: Option<u16>,
    /// gRPC's own status, where the head has one.
    pub(crate) grpc: Option<u32>,
    pub(crate) body: Vec<u8>,
}

/// # Errors
/// Nobody listens there, or no answer came in five seconds.
pub(crate) fn send(target: SocketAddr, authority: &str, message: &Message) -> io::Result<Answer> {
    match message.protocol {
        Protocol::Http1 => http1(target, &message.http1(authority)),
        Protocol::Http2 => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let answered = async { tokio::time::timeout(PATIENCE, http2(target, authority, message)).await };
            runtime.block_on(answered).map_err(|_| io::Error::from(ErrorKind::TimedOut))?
        }
    }
}

fn http1(target: SocketAddr, request: &[u8]) -> io::Result<Answer> {
    let mut stream = TcpStream::connect_timeout(&target, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    // Who refuses a long request may do so before it is whole.
    drop(stream.write_all(request));
    let mut answer = Vec::new();
    let mut part = [0; 16 * 1024];
    loop {
        match stream.read(&mut part) {
            Ok(0) => break,
            Ok(read) => answer.extend(part.get(..read).unwrap_or_default()),
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => break,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Err(ErrorKind::TimedOut.into()),
            Err(error) => return Err(error),
        }
        if answer.len() > ANSWER_MAX || is_whole(&answer) {
            break;
        }
    }
    drop(stream.shutdown(Shutdown::Both));
    parsed(&answer).map(|(answer, _)| answer)
}

/// Whether nothing is missing, of an answer that says how long it is; the others end with their connection.
fn is_whole(answer: &[u8]) -> bool {
    parsed(answer).is_ok_and(|(_, whole)| whole)
}

fn parsed(bytes: &[u8]) -> io::Result<(Answer, bool)> {
    let mut headers = [httparse::EMPTY_HEADER; 100];
    let mut head = httparse::Response::new(&mut headers);
    let bad = |error: httparse::Error| io::Error::new(ErrorKind::InvalidData, error);
    let httparse::Status::Complete(length) = head.parse(bytes).map_err(bad)? else {
        return Ok((Answer::default(), false));
    };
    let named = |name: &str| {
        let found = head.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(found.value).ok()
    };
    let body = bytes.get(length..).unwrap_or_default();
    // `100 Continue` and its like stand before the answer; `101` is one.
    let before = head.code.is_some_and(|code| (100..200).contains(&code) && code != 101);
    if before && !body.is_empty() {
        return parsed(body);
    }
    let expected = named("content-length").and_then(|text| text.parse::<usize>().ok());
    let chunked = named("transfer-encoding").is_some();
    let whole = match expected {
        Some(expected) => body.len() >= expected,
        None => (chunked && body.ends_with(b"0\r\n\r\n")) || matches!(head.code, Some(101 | 204 | 304)),
    };
    let grpc = named("grpc-status").and_then(|text| text.parse().ok());
    Ok((Answer { status: head.code.filter(|_| !before), grpc, body: body.to_vec() }, whole))
}

async fn http2(target: SocketAddr, authority: &str, message: &Message) -> io::Result<Answer> {
    let stream = tokio::net::TcpStream::connect(target).await?;
    let (client, connection) = h2::client::handshake(stream).await.map_err(io::Error::other)?;
    let connection = tokio::spawn(connection);
    let answer = http2_answer(client, authority, message).await;
    connection.abort();
    // A stream that is reset is an answer: none.
    Ok(answer.unwrap_or_default())
}

async fn http2_answer(
    client: h2::client::SendRequest<Bytes>,
    authority: &str,
    message: &Message,
) -> Result<Answer, Box<dyn std::error::Error + Send + Sync>> {
    let authority = message.authority.as_deref().unwrap_or(authority);
    let path = std::str::from_utf8(&message.target)?;
    let mut request = Request::builder()
        .method(message.method.as_str())
        .uri(format!("http://{authority}{path}"))
        .body(())?;
    for (name, value) in &message.headers {
        request.headers_mut().append(HeaderName::from_bytes(name)?, HeaderValue::from_bytes(value)?);
    }
    let ends = message.body.is_empty() && message.trailers.is_empty();
    let mut client = client.ready().await?;
    let (answer, mut sending) = client.send_request(request, ends)?;
    if !ends {
        sending.send_data(Bytes::copy_from_slice(&message.body), message.trailers.is_empty())?;
    }
    if !message.trailers.is_empty() {
        let mut trailers = HeaderMap::new();
        for (name, value) in &message.trailers {
            trailers.append(HeaderName::from_bytes(name.as_bytes())?, HeaderValue::from_str(value)?);
        }
        sending.send_trailers(trailers)?;
    }
    let (head, mut body) = answer.await?.into_parts();
    let grpc = head.headers.get("grpc-status").and_then(|value| value.to_str().ok()?.parse().ok());
    let mut bytes = Vec::new();
    while let Some(part) = body.data().await {
        let part = part?;
        body.flow_control().release_capacity(part.len())?;
        bytes.extend(part);
        if bytes.len() > ANSWER_MAX {
            break;
        }
    }
    Ok(Answer { status: Some(head.status.as_u16()), grpc, body: bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Answer, bool) {
        parsed(text.as_bytes()).expect("an answer")
    }

    #[test]
    fn an_answer_ends_where_it_says() {
        let (answer, whole) = read("HTTP/1.1 401 Unauthorized\r\ncontent-length: 3\r\n\r\nno");
        assert_eq!((answer.status, whole), (Some(401), false));
        assert!(read("HTTP/1.1 401 Unauthorized\r\ncontent-length: 2\r\n\r\nno").1);
        assert!(read("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n").1);
        assert!(!read("HTTP/1.1 200 OK\r\n\r\n").1, "its end is the connection's");
        assert_eq!(read("HTTP/1.1 200 OK\r\ngrpc-status: 16\r\n\r\n").0.grpc, Some(16));
    }

    #[test]
    fn what_only_says_to_go_on_is_no_answer() {
        assert_eq!(read("HTTP/1.1 100 Continue\r\n\r\n").0.status, None);
        let text = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n";
        assert_eq!((read(text).0.status, read(text).1), (Some(403), true));
        assert_eq!(read("").0, Answer::default());
    }
}
