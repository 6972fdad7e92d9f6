//! HTTP/1.1 on the wire, as bytes: what is sent stands as it was recorded, what comes back is kept as it stood.

use std::io;

use crate::message::{HeaderMap, Message};
use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// More fields than any message here has.
const MAX_FIELDS: usize = 256;

/// What a message answers, which decides how its end is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::parity) enum Kind {
    Request,
    Response { to_head: bool },
}

/// How names of fields are written, which means nothing in HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::parity) enum Spelling {
    LowerCase,
    Capitals,
}

/// A request as bytes: its head, each chunk, its end. Its framing is what its own headers say.
pub(in crate::parity) fn request_parts(message: &Message, spelling: Spelling, stalls: bool) -> Vec<Vec<u8>> {
    let first = |name: &[u8]| message.headers.first(name).cloned().unwrap_or_default();
    let mut head = [&first(b":method")[..], b" ", &first(b":path"), b" HTTP/1.1\r\nhost: "].concat();
    head.extend_from_slice(&first(b":authority"));
    head.extend_from_slice(b"\r\n");
    parts(head, message, spelling, false, stalls)
}

/// A response as bytes, in the same parts; one to `HEAD` has no body, whatever its headers say.
pub(in crate::parity) fn response_parts(message: &Message, to_head: bool, breaks_off: bool) -> Vec<Vec<u8>> {
    let status = message.headers.first(b":status").cloned().unwrap_or_default();
    parts([b"HTTP/1.1 ", &status[..], b" \r\n"].concat(), message, Spelling::LowerCase, to_head, breaks_off)
}

fn parts(
    mut head: Vec<u8>,
    message: &Message,
    spelling: Spelling,
    headers_only: bool,
    endless: bool,
) -> Vec<Vec<u8>> {
    fields(&mut head, &message.headers, spelling);
    let mut parts = vec![head];
    if headers_only {
        return parts;
    }
    let chunks = message.body.iter().filter(|chunk| !chunk.is_empty());
    if !is_chunked(&message.headers) {
        parts.extend(chunks.map(|chunk| chunk.to_vec()));
        return parts;
    }
    for chunk in chunks {
        parts.push([format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat());
    }
    if !endless {
        let mut end = b"0\r\n".to_vec();
        fields(&mut end, message.trailers.as_ref().unwrap_or(&HeaderMap::new()), spelling);
        parts.push(end);
    }
    parts
}

/// All but pseudo headers, and the empty line.
fn fields(out: &mut Vec<u8>, headers: &HeaderMap, spelling: Spelling) {
    for header in headers.iter().filter(|header| !header.name.starts_with(b":")) {
        match spelling {
            Spelling::LowerCase => out.extend_from_slice(&header.name),
            Spelling::Capitals => out.extend(header.name.to_ascii_uppercase()),
        }
        out.extend_from_slice(b": ");
        out.extend_from_slice(&header.value);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
}

pub(in crate::parity) fn is_chunked(headers: &HeaderMap) -> bool {
    headers.first(b"transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case(b"chunked"))
}

pub(in crate::parity) fn content_length(headers: &HeaderMap) -> Option<usize> {
    std::str::from_utf8(headers.first(b"content-length")?).ok()?.parse().ok()
}

/// Messages from one end of a connection, one behind the other.
#[derive(Debug)]
pub(in crate::parity) struct Reader<R> {
    from: R,
    unread: BytesMut,
    /// What has come of a message that is not complete.
    part: Option<Message>,
}

impl<R: AsyncRead + Unpin> Reader<R> {
    pub(in crate::parity) fn new(from: R) -> Self {
        Reader { from, unread: BytesMut::new(), part: None }
    }

    /// The next message; `None` at the end of the connection. Interim responses are passed over.
    pub(in crate::parity) async fn message(&mut self, kind: Kind) -> io::Result<Option<Message>> {
        loop {
            let Some(headers) = self.head(kind).await? else {
                return Ok(None);
            };
            let status = headers.first(b":status").cloned().unwrap_or_default();
            if status.starts_with(b"1") {
                continue;
            }
            let no_body =
                matches!(kind, Kind::Response { to_head: true }) || matches!(&status[..], b"204" | b"304");
            if no_body {
                return Ok(Some(Message { headers, ..Message::default() }));
            }
            self.part = Some(Message { headers: headers.clone(), ..Message::default() });
            let (body, trailers) = match (is_chunked(&headers), content_length(&headers)) {
                (true, _) => self.chunks().await?,
                (false, Some(length)) => (self.exactly(length).await?, None),
                (false, None) if kind == Kind::Request => (Bytes::new(), None),
                (false, None) => (self.until_closed().await?, None),
            };
            let body = if body.is_empty() { Vec::new() } else { vec![body] };
            self.part = None;
            return Ok(Some(Message { headers, body, trailers }));
        }
    }

    /// What came of the message that the connection broke off in.
    pub(in crate::parity) fn take_part(&mut self) -> Option<Message> {
        self.part.take()
    }

    async fn head(&mut self, kind: Kind) -> io::Result<Option<HeaderMap>> {
        loop {
            if let Some((length, headers)) = parse_head(&self.unread, kind)? {
                drop(self.unread.split_to(length));
                return Ok(Some(headers));
            }
            if !self.more().await? {
                return if self.unread.is_empty() { Ok(None) } else { Err(cut("a message's head")) };
            }
        }
    }

    async fn chunks(&mut self) -> io::Result<(Bytes, Option<HeaderMap>)> {
        let mut body = BytesMut::new();
        loop {
            let (head, size) = loop {
                match httparse::parse_chunk_size(&self.unread).map_err(|_| bad("a chunk size"))? {
                    httparse::Status::Complete(found) => break found,
                    httparse::Status::Partial if self.more().await? => {}
                    httparse::Status::Partial => return Err(cut("a chunk size")),
                }
            };
            drop(self.unread.split_to(head));
            if size == 0 {
                return Ok((body.freeze(), self.trailers().await?));
            }
            let size = usize::try_from(size).map_err(|_| bad("a chunk size"))?;
            let chunk = self.exactly(size).await?;
            body.extend_from_slice(&chunk);
            if let Some(part) = &mut self.part {
                part.body.push(chunk);
            }
            drop(self.exactly(2).await?);
        }
    }

    async fn trailers(&mut self) -> io::Result<Option<HeaderMap>> {
        loop {
            let mut found = [httparse::EMPTY_HEADER; MAX_FIELDS];
            let parsed = httparse::parse_headers(&self.unread, &mut found)
                .map_err(|error| bad(&format!("trailers: {error}")))?;
            if let httparse::Status::Complete((length, found)) = parsed {
                let trailers: HeaderMap = found.iter().map(field).collect();
                drop(self.unread.split_to(length));
                return Ok(Some(trailers).filter(|trailers| !trailers.is_empty()));
            }
            if !self.more().await? {
                return Err(cut("trailers"));
            }
        }
    }

    async fn exactly(&mut self, length: usize) -> io::Result<Bytes> {
        while self.unread.len() < length {
            if !self.more().await? {
                return Err(cut("a body"));
            }
        }
        Ok(self.unread.split_to(length).freeze())
    }

    async fn until_closed(&mut self) -> io::Result<Bytes> {
        while self.more().await? {}
        Ok(self.unread.split().freeze())
    }

    async fn more(&mut self) -> io::Result<bool> {
        Ok(self.from.read_buf(&mut self.unread).await? > 0)
    }
}

/// The length of the head with its empty line, and its fields with those of the first line as pseudo headers.
fn parse_head(bytes: &[u8], kind: Kind) -> io::Result<Option<(usize, HeaderMap)>> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let wrong =
        |error: httparse::Error| bad(&format!("a message's head ({error}): {}", bytes.escape_ascii()));
    let mut headers = HeaderMap::new();
    let status = match kind {
        Kind::Request => {
            let mut request = httparse::Request::new(&mut fields);
            let status = request.parse(bytes).map_err(wrong)?;
            headers.push(":method", request.method.unwrap_or_default().to_owned());
            headers.push(":path", request.path.unwrap_or_default().to_owned());
            status
        }
        Kind::Response { .. } => {
            let mut response = httparse::Response::new(&mut fields);
            let status = response.parse(bytes).map_err(wrong)?;
            headers.push(":status", response.code.unwrap_or_default().to_string());
            status
        }
    };
    let httparse::Status::Complete(length) = status else {
        return Ok(None);
    };
    for (name, value) in fields.iter().take_while(|field| !field.name.is_empty()).map(field) {
        match (&name[..], kind) {
            (b"host", Kind::Request) => headers.push(":authority", value),
            _ => headers.push(name, value),
        }
    }
    Ok(Some((length, headers)))
}

fn field(field: &httparse::Header<'_>) -> (Bytes, Bytes) {
    (Bytes::copy_from_slice(field.name.as_bytes()), Bytes::copy_from_slice(field.value))
}

fn bad(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("not HTTP/1.1: {what}"))
}

fn cut(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, format!("the connection ended within {what}"))
}
