//! What came from outside, so that it can be shown: nothing in it may hide, reorder or forge what stands around it.

use std::fmt::{self, Display, Formatter, Write};

/// Shows a value with letters that have no shape of their own, or change that of others, as escapes. Line breaks stay.
pub(super) struct Printable<T>(pub(super) T);

impl<T: Display> Display for Printable<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(Escaping(f), "{}", self.0)
    }
}

/// The same, at most `most` letters of it, and how many more there are.
pub(super) fn clipped(value: impl Display, most: usize) -> String {
    let mut text = Printable(value).to_string();
    if let Some((at, _)) = text.char_indices().nth(most) {
        let more = text.get(at..).unwrap_or_default().chars().count();
        text.truncate(at);
        // Writing to a string does not fail.
        let _ = write!(text, "… ({more} more letters)");
    }
    text
}

struct Escaping<'a, 'b>(&'a mut Formatter<'b>);

impl Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some((at, letter)) = rest.char_indices().find(|(_, letter)| hides(*letter)) {
            let (before, from) = rest.split_at_checked(at).ok_or(fmt::Error)?;
            write!(self.0, "{before}{}", letter.escape_default())?;
            rest = from.get(letter.len_utf8()..).unwrap_or_default();
        }
        self.0.write_str(rest)
    }
}

/// Controls; what sets the direction of writing (Unicode Standard Annex 9); blanks without width; line breaks that are
/// not `\n`; and what XML 1.0 (section 2.2) has no place for.
fn hides(letter: char) -> bool {
    match letter {
        '\n' => false,
        '\u{61c}'
        | '\u{180e}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' => true,
        '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{fdd0}'..='\u{fdef}' => true,
        letter => letter.is_control() || u32::from(letter) & 0xfffe == 0xfffe,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_says_how_much_is_missing() {
        assert_eq!(clipped("äöü", 3), "äöü");
        assert_eq!(clipped("äöüß", 3), "äöü… (1 more letters)");
    }

    #[test]
    fn what_cannot_be_seen_is_written_out_and_the_rest_stays() {
        let shown = |text: &str| Printable(text).to_string();
        assert_eq!(shown("a<b>&'\" ü 猫\n"), "a<b>&'\" ü 猫\n");
        assert_eq!(shown("\u{1b}[31m\r\0"), "\\u{1b}[31m\\r\\u{0}");
        assert_eq!(shown("a\u{202e}b\u{200b}\u{feff}"), "a\\u{202e}b\\u{200b}\\u{feff}");
        assert_eq!(shown("\u{ffff}\u{1fffe}\u{85}"), "\\u{ffff}\\u{1fffe}\\u{85}");
    }
}
