//! Splits a file of length-delimited protobuf messages without reading it whole.

use std::io::{self, BufRead, Read};

use super::{
    limits::ByteSize,
    record::{Piece, Place, Problem},
};

/// Bytes that a varint of 64 bits has at most.
const LONGEST_VARINT: usize = 10;

#[derive(Debug)]
pub(super) struct Delimited<R> {
    input: R,
    limit: ByteSize,
    offset: u64,
    /// Nothing can be found behind a length that makes no sense.
    lost: bool,
}

enum Length {
    End,
    Is(u64),
    Torn,
    Bad,
}

impl<R: BufRead> Delimited<R> {
    /// `input` begins at the beginning of the file.
    pub(super) fn new(input: R, limit: ByteSize) -> Self {
        Self { input, limit, offset: 0, lost: false }
    }

    /// The next message, or what stands in the place of one. `None` at the end of the file, or where reading on makes
    /// no sense.
    pub(super) fn next(&mut self) -> io::Result<Option<Piece>> {
        if self.lost {
            return Ok(None);
        }
        let at = Place::Offset(self.offset);
        let problem = match self.length()? {
            Length::End => return Ok(None),
            Length::Is(0) => Problem::skipped(at, self.zeros()?, Vec::new()),
            Length::Is(length) if length <= self.limit.0 => return self.message(at, length).map(Some),
            Length::Is(length) => self.skip(at, length)?,
            Length::Torn => {
                Problem::torn(at, "the file ends inside a record's length".to_owned(), Vec::new())
            }
            Length::Bad => {
                self.lost = true;
                let text = "found no length of at most 64 bits, expected one in front of a record; the rest of the file is left out";
                Problem::skipped(at, text.to_owned(), Vec::new())
            }
        };
        Ok(Some(Piece::Problem(problem)))
    }

    fn length(&mut self) -> io::Result<Length> {
        let mut length: u64 = 0;
        for index in 0..LONGEST_VARINT {
            let Some(byte) = self.input.fill_buf()?.first().copied() else {
                return Ok(if index == 0 { Length::End } else { Length::Torn });
            };
            self.input.consume(1);
            self.offset = self.offset.saturating_add(1);
            if index + 1 == LONGEST_VARINT && byte > 1 {
                return Ok(Length::Bad);
            }
            length |= u64::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                return Ok(Length::Is(length));
            }
        }
        Ok(Length::Bad)
    }

    /// Memory grows with what is there, not with what the length claims.
    fn message(&mut self, at: Place, length: u64) -> io::Result<Piece> {
        let mut bytes = Vec::new();
        let read = (&mut self.input).take(length).read_to_end(&mut bytes)? as u64;
        self.offset = self.offset.saturating_add(read);
        if read == length {
            return Ok(Piece::Record { at, bytes });
        }
        Ok(Piece::Problem(Problem::torn(at, torn(length, read), bytes)))
    }

    fn skip(&mut self, at: Place, length: u64) -> io::Result<Problem> {
        let mut head = Vec::new();
        let first = length.min(Problem::HEAD_BYTES as u64);
        let read = (&mut self.input).take(first).read_to_end(&mut head)? as u64;
        let rest = io::copy(&mut (&mut self.input).take(length.saturating_sub(read)), &mut io::sink())?;
        let read = read.saturating_add(rest);
        self.offset = self.offset.saturating_add(read);
        if read < length {
            return Ok(Problem::torn(at, torn(length, read), head));
        }
        let text = format!("left out: a record of {length} bytes, where one may have {}", self.limit);
        Ok(Problem::skipped(at, text, head))
    }

    /// Goes past zeros, as a machine that stopped can leave them at a file's end: each would be a record with nothing in
    /// it.
    fn zeros(&mut self) -> io::Result<String> {
        let mut count: u64 = 1;
        loop {
            let bytes = self.input.fill_buf()?;
            let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
            if zeros == 0 {
                return Ok(format!("left out: {count} bytes of zero, expected a record"));
            }
            self.input.consume(zeros);
            count = count.saturating_add(zeros as u64);
            self.offset = self.offset.saturating_add(zeros as u64);
        }
    }
}

fn torn(length: u64, read: u64) -> String {
    format!("the file ends inside a record: {read} bytes of the {length} that it claims")
}

/// A file that is one message, not delimited.
pub(super) fn single<R: BufRead>(input: R, limit: ByteSize) -> io::Result<Piece> {
    let mut bytes = Vec::new();
    let mut input = input.take(limit.0.saturating_add(1));
    let read = input.read_to_end(&mut bytes)? as u64;
    let at = Place::Offset(0);
    if read <= limit.0 {
        return Ok(Piece::Record { at, bytes });
    }
    let text = format!("left out: a record of more than {limit}");
    Ok(Piece::Problem(Problem::skipped(at, text, bytes)))
}
