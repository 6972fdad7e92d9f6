//! Values on their way into the page.

use std::fmt::Display;

use maud::{Markup, PreEscaped, Render, html};

use super::super::printable::clipped;

/// Letters of one value.
const LETTERS: usize = 600;

/// A value, escaped and cut to a bearable length, with places to break long ones.
pub(super) struct Shown<T>(pub(super) T);

impl<T: Display> Render for Shown<T> {
    fn render_to(&self, to: &mut String) {
        clipped(&self.0, LETTERS).render_to(to);
    }
}

/// A metric's name: the tags in it may be broken apart.
pub(super) fn metric(name: impl Display) -> Markup {
    let name = clipped(name, LETTERS);
    let mut parts = name.split_inclusive(";.;").peekable();
    html! {
        code {
            @while let Some(part) = parts.next() {
                (part)
                @if parts.peek().is_some() { wbr; }
            }
        }
    }
}

/// With blanks between thousands that do not break.
pub(super) fn number(number: impl Display) -> Markup {
    let digits = number.to_string();
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && digits.len().saturating_sub(place).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    PreEscaped(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        let shown = |n: u64| number(n).into_string().replace('\u{202f}', "_");
        assert_eq!([7, 100, 1000, 12_345_678].map(shown), ["7", "100", "1_000", "12_345_678"]);
    }
}
