//! `compress` and `uncompress`: zlib at its default level.

use std::io::Read as _;

use bytes::Bytes;
use flate2::{Compression, Status, read::ZlibEncoder};

use crate::abi::{CallStatus, ForeignAnswer};

/// What may come of one call. Envoy has no limit; a small bomb would fill this machine's memory.
const RESULT_MAX: usize = 256 * 1024 * 1024;

pub(super) fn compress(bytes: &Bytes) -> ForeignAnswer {
    let mut out = Vec::new();
    match ZlibEncoder::new(&bytes[..], Compression::default()).read_to_end(&mut out) {
        Ok(_) => ForeignAnswer::result(out),
        Err(_) => ForeignAnswer::status(CallStatus::SerializationFailure),
    }
}

/// What stands behind the end of the compressed data is not looked at. Nothing at all is no zlib.
pub(super) fn uncompress(bytes: &Bytes) -> ForeignAnswer {
    let mut decoder = flate2::Decompress::new(true);
    let mut out = Vec::with_capacity(bytes.len().saturating_mul(2).clamp(64, 1 << 20));
    loop {
        let taken = usize::try_from(decoder.total_in()).unwrap_or(usize::MAX);
        let rest = bytes.get(taken..).unwrap_or_default();
        let before = (decoder.total_in(), decoder.total_out());
        let status = decoder.decompress_vec(rest, &mut out, flate2::FlushDecompress::None);
        match status {
            Ok(Status::StreamEnd) => return ForeignAnswer::result(out),
            Ok(_) if out.len() > RESULT_MAX => break,
            Ok(_) if out.len() == out.capacity() => out.reserve(out.len().max(64)),
            Ok(_) if before == (decoder.total_in(), decoder.total_out()) => break,
            Ok(_) => {}
            Err(_) => break,
        }
    }
    ForeignAnswer::status(CallStatus::SerializationFailure)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_compressed_comes_back(bytes in any::<Vec<u8>>()) {
            let small = compress(&bytes.clone().into()).result.unwrap();
            prop_assert_eq!(uncompress(&small), ForeignAnswer::result(bytes));
        }

        #[test]
        fn no_bytes_make_it_panic_or_spin(bytes in any::<Vec<u8>>()) {
            let _ = uncompress(&bytes.into());
        }
    }

    #[test]
    fn the_bytes_are_those_of_envoy() {
        let hello = compress(&Bytes::from_static(b"hello")).result.unwrap();
        assert_eq!(hello, Bytes::from_static(b"x\x9c\xcbH\xcd\xc9\xc9\x07\x00\x06,\x02\x15"));
        assert_eq!(
            compress(&Bytes::new()).result.unwrap(),
            Bytes::from_static(b"x\x9c\x03\x00\x00\x00\x00\x01")
        );
    }

    #[test]
    fn data_cut_short_or_changed_is_refused() {
        let whole = compress(&vec![7; 100_000].into()).result.unwrap();
        assert_eq!(uncompress(&whole).result.map(|out| out.len()), Some(100_000));
        let refused = ForeignAnswer::status(CallStatus::SerializationFailure);
        assert_eq!(uncompress(&whole.slice(..whole.len() - 1)), refused);
        assert_eq!(uncompress(&Bytes::new()), refused);
    }
}
