//! Bodies: what came of them, and the edits that Envoy takes.

pub(crate) mod collect;
pub(crate) mod hold;

use crate::headers::{Headers, Message, Request, Response};
use crate::hostcalls::{self, Buffer, Host};
use crate::stream::Stream;
use std::marker::PhantomData;

/// A part of the request's body, or all that is held of it.
pub type RequestBody = Body<Request>;
/// A part of the response's body, or all that is held of it.
pub type ResponseBody = Body<Response>;

/// What a body callback sees: the part that has just come, and before it everything that is held
/// ([`Flow::Buffer`](crate::Flow::Buffer)), whether or not it was seen before.
///
/// How a body is cut into parts is the sender's, the network's and Envoy's choice. Of HTTP/1 the last part is empty and
/// [ends the stream](Body::end_of_stream).
#[derive(Debug)]
pub struct Body<P: Message> {
    stream: Stream,
    len: usize,
    end_of_stream: bool,
    trailers_follow: bool,
    headers: Headers<P>,
    trailers: Headers<P::Trailers>,
}

/// That the length of this message's body is not promised to anybody: without it a body cannot be edited.
///
/// From [`RequestHeaders::resize_body`](crate::RequestHeaders::resize_body) and its like of the response, or from
/// [`Body::resize`] while headers are held. A filter keeps it with the stream.
#[derive(Debug)]
pub struct Resize<P: Message>(PhantomData<P>);

impl<P: Message> Resize<P> {
    pub(crate) fn of(headers: &mut Headers<P>, end_of_stream: bool) -> Host<Resize<P>> {
        if !end_of_stream {
            headers.remove(crate::name!("content-length"))?;
        }
        Ok(Resize(PhantomData))
    }
}

/// What of a message a callback is about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    /// Unknown if the host did not say it with the callback.
    pub(crate) len: Option<usize>,
    pub(crate) end_of_stream: bool,
    pub(crate) trailers_follow: bool,
}

impl Part {
    /// Headers or trailers.
    pub(crate) const fn without_bytes(end_of_stream: bool) -> Part {
        Part { len: Some(0), end_of_stream, trailers_follow: false }
    }
}

const fn buffer<P: Message>() -> Buffer {
    match P::BUFFER {
        0 => Buffer::RequestBody,
        _ => Buffer::ResponseBody,
    }
}

/// More than any buffer holds: the host takes what is there.
const ALL: usize = i32::MAX as usize;

impl<P: Message> Body<P> {
    pub(crate) fn new(stream: Stream, part: Part) -> Body<P> {
        let len = part.len.unwrap_or_else(|| hostcalls::buffer_size(buffer::<P>()).unwrap_or(0));
        let Part { end_of_stream, trailers_follow, .. } = part;
        let id = stream.id();
        Body {
            stream,
            len,
            end_of_stream,
            trailers_follow,
            headers: Headers::token(id),
            trailers: Headers::token(id),
        }
    }

    pub(crate) fn part(&self) -> Part {
        let Body { len, end_of_stream, trailers_follow, .. } = *self;
        Part { len: Some(len), end_of_stream, trailers_follow }
    }

    #[must_use]
    pub fn stream(&self) -> &Stream {
        &self.stream
    }

    /// Bytes that can be read: those that came, and those held before.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether the message ends here, without trailers.
    #[must_use]
    pub fn end_of_stream(&self) -> bool {
        self.end_of_stream
    }

    /// Whether no more of the body comes: the message ends here, or its trailers have come while the body was held.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.end_of_stream || self.trailers_follow
    }

    /// At most `max` bytes, from the first. One hostcall that returns bytes.
    ///
    /// # Errors
    /// What the host answered.
    pub fn read(&self, max: usize) -> Host<Vec<u8>> {
        self.stream.own("proxy_get_buffer_bytes")?;
        match max.min(ALL) {
            0 => Ok(Vec::new()),
            max => Ok(hostcalls::buffer(buffer::<P>(), 0, max)?.unwrap_or_default()),
        }
    }

    /// Puts `bytes` in the place of all that can be read. One hostcall, nothing returned.
    ///
    /// # Errors
    /// `bad argument` when there is no body now.
    pub fn replace(&mut self, _: &Resize<P>, bytes: &[u8]) -> Host<()> {
        self.stream.own("proxy_set_buffer_bytes")?;
        hostcalls::set_buffer(buffer::<P>(), 0, ALL, bytes)?;
        self.len = bytes.len();
        Ok(())
    }

    /// Puts `bytes` in front. One hostcall, nothing returned.
    ///
    /// # Errors
    /// `bad argument` when there is no body now.
    pub fn prepend(&mut self, _: &Resize<P>, bytes: &[u8]) -> Host<()> {
        self.add(0, bytes)
    }

    /// Puts `bytes` behind. One hostcall, nothing returned.
    ///
    /// # Errors
    /// `bad argument` when there is no body now.
    pub fn append(&mut self, _: &Resize<P>, bytes: &[u8]) -> Host<()> {
        self.add(ALL, bytes)
    }

    fn add(&mut self, at: usize, bytes: &[u8]) -> Host<()> {
        self.stream.own("proxy_set_buffer_bytes")?;
        hostcalls::set_buffer(buffer::<P>(), at, 0, bytes)?;
        self.len = self.len.saturating_add(bytes.len());
        Ok(())
    }

    /// The message's headers, if they are still held: `hold_for_body` did, or an earlier filter's wait. One hostcall that
    /// returns a number.
    pub fn headers(&mut self) -> Option<&mut Headers<P>> {
        self.headers.byte_size().is_ok().then_some(&mut self.headers)
    }

    /// What edits need, while headers are held; see `resize_body` of the headers' phase. `None` when they have gone on: what
    /// they said of the body's length is said. Two hostcalls.
    ///
    /// # Errors
    /// What the host answered.
    pub fn resize(&mut self) -> Host<Option<Resize<P>>> {
        self.headers().map(|headers| Resize::of(headers, false)).transpose()
    }

    /// Where trailers are added to a message that [ends here](Self::end_of_stream) without any. The receiver need not look at
    /// them, and HTTP/1 only has them where Envoy was told to.
    pub fn new_trailers(&mut self) -> Option<&mut Headers<P::Trailers>> {
        self.end_of_stream.then_some(&mut self.trailers)
    }
}
