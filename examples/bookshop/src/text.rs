//! Text of any length that is the same every time and compresses well.

use bytes::Bytes;

const WORDS: [&str; 16] = [
    "the", "reader", "turns", "a", "page", "and", "the", "story", "of", "the", "quiet", "harbour", "goes",
    "on", "until", "morning",
];

/// Exactly `length` bytes of text in lines of sixteen words.
pub(crate) fn of_length(length: usize) -> Bytes {
    let mut text = String::with_capacity(length + 80);
    let mut line = 1_u32;
    while text.len() < length {
        text.push_str(&line.to_string());
        for word in WORDS {
            text.push(' ');
            text.push_str(word);
        }
        text.push('\n');
        line += 1;
    }
    text.truncate(length);
    text.into()
}

/// The parts of `text` that a chunked answer is sent in, each `size` bytes, the last one perhaps shorter.
pub(crate) fn in_chunks(text: Bytes, size: usize) -> impl Iterator<Item = Bytes> {
    let size = size.max(1);
    (0..text.len()).step_by(size).map(move |from| text.slice(from..text.len().min(from + size)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_put_together_are_the_text() {
        let text = of_length(1000);
        let chunks: Vec<_> = in_chunks(text.clone(), 300).collect();
        assert_eq!(chunks.iter().map(Bytes::len).collect::<Vec<_>>(), [300, 300, 300, 100]);
        assert_eq!(chunks.concat(), text);
    }
}
