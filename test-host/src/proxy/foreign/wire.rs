//! The protobufs of foreign functions: few fields, each a number, text or bytes.

use bytes::{Buf as _, Bytes};
use prost::encoding::{
    DecodeContext, WireType, decode_key, decode_varint, encode_key, encode_varint, skip_field,
};

/// A message whose fields are numbers and bytes; the last of a repeated one counts.
#[derive(Debug, Default)]
pub(super) struct Message {
    numbers: Vec<(u32, u64)>,
    bytes: Vec<(u32, Bytes)>,
}

impl Message {
    /// `None`: no protobuf.
    pub(super) fn parse(wire: &Bytes) -> Option<Self> {
        let mut rest = wire.clone();
        let mut message = Message::default();
        while rest.has_remaining() {
            let (field, kind) = decode_key(&mut rest).ok()?;
            match kind {
                WireType::Varint => message.numbers.push((field, decode_varint(&mut rest).ok()?)),
                WireType::LengthDelimited => {
                    let len = usize::try_from(decode_varint(&mut rest).ok()?).ok()?;
                    if len > rest.remaining() {
                        return None;
                    }
                    message.bytes.push((field, rest.split_to(len)));
                }
                _ => skip_field(kind, field, &mut rest, DecodeContext::default()).ok()?,
            }
        }
        Some(message)
    }

    pub(super) fn number(&self, field: u32) -> u64 {
        self.numbers.iter().rev().find(|(found, _)| *found == field).map_or(0, |(_, number)| *number)
    }

    pub(super) fn bytes(&self, field: u32) -> Bytes {
        let found = self.bytes.iter().rev().find(|(found, _)| *found == field);
        found.map(|(_, bytes)| bytes.clone()).unwrap_or_default()
    }

    /// A string; `None` where it is none, which means that the message does not parse.
    pub(super) fn text(&self, field: u32) -> Option<String> {
        String::from_utf8(self.bytes(field).to_vec()).ok()
    }
}

/// Writes fields in their order; what is false or empty is left out, as proto3 does.
#[derive(Debug, Default)]
pub(super) struct Writer(Vec<u8>);

impl Writer {
    #[must_use]
    pub(super) fn truth(mut self, field: u32, truth: bool) -> Self {
        if truth {
            encode_key(field, WireType::Varint, &mut self.0);
            encode_varint(1, &mut self.0);
        }
        self
    }

    #[must_use]
    pub(super) fn bytes(mut self, field: u32, bytes: &[u8]) -> Self {
        if !bytes.is_empty() {
            encode_key(field, WireType::LengthDelimited, &mut self.0);
            encode_varint(bytes.len() as u64, &mut self.0);
            self.0.extend_from_slice(bytes);
        }
        self
    }

    pub(super) fn done(self) -> Bytes {
        self.0.into()
    }
}
