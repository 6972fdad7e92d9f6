//! How labels stand in a metric's name: `l7_rule=.=checkout;.;l7_timeout_enforced_total`.

/// Longest value in bytes, escapes counted.
const LONGEST: usize = 64;

/// The full name of a series. Keys get the prefix `l7_`; values keep dots, slashes and text of any language.
///
/// Percent-escaped are control bytes, `%`, and the separators' `=` and `;`; what is no UTF-8 is escaped byte by byte. Values
/// are cut at 64 bytes, never within an escape or a character. A label with an empty value is left out: what a stream does
/// not have is absent, and not every sink takes an empty tag for an absent one. So is one without a name: labels that were not
/// chosen.
#[must_use]
pub fn series_name<'a>(base: &str, labels: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> String {
    let mut name = String::new();
    for (key, value) in labels.into_iter().filter(|(key, value)| !key.is_empty() && !value.is_empty()) {
        name.push_str("l7_");
        name.push_str(key);
        name.push_str("=.=");
        push_escaped(&mut name, value);
        name.push_str(";.;");
    }
    name.push_str(base);
    name
}

/// The entry of Envoy's bootstrap that takes these labels out of the names of series: `stats_config`, in YAML. Without it
/// they stay in the name, in Envoy's own statistics and in what Prometheus is told.
///
/// Of each expression the first group is what goes from the name, the second the value; both end at the first separator, which no
/// value can hold.
///
/// ```
/// assert_eq!(
///     wayside_sdk::metrics::stats_tags(["rule"]),
///     "stats_config:\n  stats_tags:\n    - { tag_name: rule, regex: '(l7_rule=\\.=(.*?);\\.;)' }\n"
/// );
/// ```
#[must_use]
pub fn stats_tags<'a>(labels: impl IntoIterator<Item = &'a str>) -> String {
    let mut yaml = String::from("stats_config:\n  stats_tags:\n");
    for label in labels {
        let regex = format!("(l7_{label}=\\.=(.*?);\\.;)");
        yaml.push_str(&format!("    - {{ tag_name: {label}, regex: '{regex}' }}\n"));
    }
    yaml
}

fn escaped(byte: u8) -> [u8; 3] {
    let digit =
        |nibble: u8| if nibble < 10 { nibble | b'0' } else { nibble.wrapping_sub(10).wrapping_add(b'A') };
    [b'%', digit(byte >> 4), digit(byte & 0x0f)]
}

/// `false` when there is no room for the whole piece.
#[inline(never)]
fn push(out: &mut Vec<u8>, piece: &[u8]) -> bool {
    let fits = out.len().saturating_add(piece.len()) <= LONGEST;
    if fits {
        out.extend_from_slice(piece);
    }
    fits
}

fn push_escaped(name: &mut String, value: &[u8]) {
    let mut out = Vec::new();
    let mut rest = value;
    while let Some((first, after)) = rest.split_first() {
        let room = match text(rest) {
            Some((text, after)) => {
                rest = after;
                push(&mut out, text)
            }
            // The bytes after it, where it is a character's first, are none without it.
            None => {
                rest = after;
                push(&mut out, &escaped(*first))
            }
        };
        if !room {
            break;
        }
    }
    name.push_str(std::str::from_utf8(&out).unwrap_or_default());
}

/// The first character, if there is one and it may stand in a name, and what comes after it.
fn text(value: &[u8]) -> Option<(&[u8], &[u8])> {
    let len = match value.first()? {
        0..0x80 => 1,
        0x80..0xe0 => 2,
        0xe0..0xf0 => 3,
        _ => 4,
    };
    let (first, rest) = value.split_at_checked(len)?;
    let c = std::str::from_utf8(first).ok()?.chars().next()?;
    (!c.is_control() && !matches!(c, '%' | '=' | ';')).then_some((first, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(bytes: &[u8]) -> String {
        let name = series_name("x", [("k", bytes)]);
        name.strip_prefix("l7_k=.=").and_then(|name| name.strip_suffix(";.;x")).unwrap().to_owned()
    }

    #[test]
    fn labels_stand_before_the_base_name() {
        assert_eq!(
            series_name("l7_timeout_enforced_total", [("rule", &b"checkout"[..]), ("phase", b"total")]),
            "l7_rule=.=checkout;.;l7_phase=.=total;.;l7_timeout_enforced_total"
        );
        assert_eq!(series_name("plain", []), "plain");
    }

    #[test]
    fn a_label_without_a_value_or_a_name_is_absent() {
        assert_eq!(series_name("x", [("a", &b""[..]), ("b", b"1"), ("", b"2")]), "l7_b=.=1;.;x");
    }

    #[test]
    fn nothing_in_a_value_can_end_it() {
        for (bytes, escaped) in [
            (&b"a.b/c-d"[..], "a.b/c-d"),
            (b"a;.;b=.=c", "a%3B.%3Bb%3D.%3Dc"),
            (b"50%", "50%25"),
            (b"\x00\n\x7f", "%00%0A%7F"),
            (b"\xff\xfe", "%FF%FE"),
            ("ключ\u{85}".as_bytes(), "ключ%C2%85"),
        ] {
            assert_eq!(value(bytes), escaped);
        }
    }

    #[test]
    fn long_values_are_cut_at_64_bytes_between_characters() {
        assert_eq!(value(&[b'a'; 100]).len(), 64);
        assert_eq!(value("ж".repeat(40).as_bytes()), "ж".repeat(32));
        assert_eq!(value(&[b';'; 30]), "%3B".repeat(21));
    }
}
