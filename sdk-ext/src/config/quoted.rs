//! Text as it stands in a message.

use std::fmt::{self, Write as _};

/// A text in quotes, in which nothing ends a line or is invisible. `{:?}` would do the same, and bring 9 KB of tables along.
#[derive(Clone, Copy, Debug)]
pub struct Quoted<'a>(pub &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for c in self.0.chars() {
            match c {
                '"' | '\\' => {
                    f.write_char('\\')?;
                    f.write_char(c)?;
                }
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                '\t' => f.write_str("\\t")?,
                // Control characters, and those that change the direction of what follows or take no room.
                '\0'..=' '
                | '\u{7f}'..='\u{a0}'
                | '\u{ad}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                    if c != ' ' =>
                {
                    write!(f, "{}", c.escape_unicode())?;
                }
                c => f.write_char(c)?,
            }
        }
        f.write_char('"')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_text_is_quoted_as_debug_would() {
        for text in [
            "",
            "a b",
            "say \"x\" \\",
            "a\nb\r\tc",
            "\u{0}\u{1b}\u{7f}\u{85}",
            "ключ",
            "\u{200b}\u{202e}\u{feff}",
        ] {
            let shown = Quoted(text).to_string();
            assert_eq!(shown, format!("{text:?}").replace("\\0", "\\u{0}"));
        }
    }
}
