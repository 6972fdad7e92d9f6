//! Splits a file into its top-level JSON objects without reading it whole: Envoy's JSON sinks write one object after the
//! other, pretty-printed, with nothing between them.

use std::io::{self, BufRead};

use super::{
    limits::ByteSize,
    record::{Piece, Place, Problem},
};

#[derive(Debug)]
pub(super) struct JsonObjects<R> {
    input: R,
    limit: ByteSize,
    offset: u64,
    line: u64,
    column: u64,
}

/// Where a scan stands within an object.
#[derive(Default)]
struct Scan {
    depth: u64,
    in_string: bool,
    escaped: bool,
}

enum Step {
    /// The last byte looked at closed the object.
    Closed,
    /// The last byte looked at is a line break within a string, which JSON does not have: the object is torn, and
    /// another one may follow.
    Broken,
    More,
}

impl Scan {
    /// Looks at bytes until something happens; says how many it looked at.
    fn run(&mut self, bytes: &[u8]) -> (usize, Step) {
        for (index, byte) in bytes.iter().enumerate() {
            let looked_at = index + 1;
            if self.escaped {
                self.escaped = false;
            } else if self.in_string {
                match byte {
                    b'"' => self.in_string = false,
                    b'\\' => self.escaped = true,
                    b'\n' => return (looked_at, Step::Broken),
                    _ => {}
                }
            } else {
                match byte {
                    b'"' => self.in_string = true,
                    b'{' | b'[' => self.depth = self.depth.saturating_add(1),
                    b'}' | b']' => {
                        self.depth = self.depth.saturating_sub(1);
                        if self.depth == 0 {
                            return (looked_at, Step::Closed);
                        }
                    }
                    _ => {}
                }
            }
        }
        (bytes.len(), Step::More)
    }
}

impl<R: BufRead> JsonObjects<R> {
    /// `input` begins at the beginning of the file.
    pub(super) fn new(input: R, limit: ByteSize) -> Self {
        Self { input, limit, offset: 0, line: 1, column: 1 }
    }

    /// The next object, or what stands in the place of one. `None` at the end of the file.
    pub(super) fn next(&mut self) -> io::Result<Option<Piece>> {
        if self.offset == 0 && self.input.fill_buf()?.starts_with(b"\xef\xbb\xbf") {
            self.input.consume(3);
            self.offset = 3;
        }
        while let Some(byte) = self.peek()? {
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' => self.advance(1)?,
                b'{' => return self.object().map(Some),
                _ => return self.stray(byte).map(Some),
            }
        }
        Ok(None)
    }

    fn place(&self) -> Place {
        Place::Text { offset: self.offset, line: self.line, column: self.column }
    }

    fn peek(&mut self) -> io::Result<Option<u8>> {
        Ok(self.input.fill_buf()?.first().copied())
    }

    /// Goes past `count` bytes of the buffer.
    fn advance(&mut self, count: usize) -> io::Result<()> {
        let bytes = self.input.fill_buf()?;
        let passed = bytes.get(..count).unwrap_or(bytes);
        let breaks = passed.iter().filter(|b| **b == b'\n').count();
        match passed.iter().rposition(|b| *b == b'\n') {
            Some(last) => self.column = (passed.len() - last) as u64,
            None => self.column = self.column.saturating_add(passed.len() as u64),
        }
        self.line = self.line.saturating_add(breaks as u64);
        self.offset = self.offset.saturating_add(passed.len() as u64);
        let count = passed.len();
        self.input.consume(count);
        Ok(())
    }

    fn object(&mut self) -> io::Result<Piece> {
        let at = self.place();
        let mut text = Vec::new();
        let mut length: u64 = 0;
        let mut scan = Scan::default();
        loop {
            let bytes = self.input.fill_buf()?;
            if bytes.is_empty() {
                let why =
                    format!("the file ends inside the object that begins here, after {length} bytes of it");
                return Ok(Piece::Problem(Problem::torn(at, why, text)));
            }
            let (count, step) = scan.run(bytes);
            length = length.saturating_add(count as u64);
            let seen = bytes.get(..count).unwrap_or(bytes);
            if length <= self.limit.0 {
                text.extend_from_slice(seen);
            } else {
                let room = Problem::HEAD_BYTES.saturating_sub(text.len());
                text.extend_from_slice(seen.get(..room).unwrap_or(seen));
                text.truncate(Problem::HEAD_BYTES);
                text.shrink_to_fit();
            }
            self.advance(count)?;
            match step {
                Step::More => {}
                Step::Closed if length > self.limit.0 => {
                    let why = format!(
                        "left out: an object of {length} bytes, where a record may have {}",
                        self.limit
                    );
                    return Ok(Piece::Problem(Problem::skipped(at, why, text)));
                }
                Step::Closed => return Ok(Piece::Record { at, bytes: text }),
                Step::Broken => return self.broken(at, text),
            }
        }
    }

    fn broken(&mut self, at: Place, head: Vec<u8>) -> io::Result<Piece> {
        let text = format!(
            "left out: line {} ends inside a string, so the object that begins here is torn; reading goes on at the next line that begins with `{{`",
            self.line.saturating_sub(1)
        );
        self.skip_to_object(true)?;
        Ok(Piece::Problem(Problem::skipped(at, text, head)))
    }

    fn stray(&mut self, byte: u8) -> io::Result<Piece> {
        let at = self.place();
        self.skip_to_object(false)?;
        let text = format!(
            "found `{}`, expected a JSON object; left out up to line {}, column {}",
            byte.escape_ascii(),
            self.line,
            self.column
        );
        Ok(Piece::Problem(Problem::skipped(at, text, Vec::new())))
    }

    /// Stops in front of the next `{`, or the next one that begins a line.
    fn skip_to_object(&mut self, at_line_start: bool) -> io::Result<()> {
        loop {
            let bytes = self.input.fill_buf()?;
            if bytes.is_empty() {
                return Ok(());
            }
            let first_column = self.column == 1;
            let found = bytes.iter().enumerate().position(|(i, b)| {
                let begins_line = i.checked_sub(1).map_or(first_column, |i| bytes.get(i) == Some(&b'\n'));
                *b == b'{' && (begins_line || !at_line_start)
            });
            let count = found.unwrap_or(bytes.len());
            self.advance(count)?;
            if found.is_some() {
                return Ok(());
            }
        }
    }
}
