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

#[inline(never)]
fn escaped(byte: u8) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0').to_ascii_uppercase();
    String::from_iter(['%', digit(byte >> 4), digit(byte & 0x0f)])
}

fn push_escaped(name: &mut String, value: &[u8]) {
    let mut left = LONGEST;
    let mut push = |piece: &str| match left.checked_sub(piece.len()) {
        Some(rest) => {
            left = rest;
            name.push_str(piece);
            true
        }
        None => false,
    };
    for chunk in value.utf8_chunks() {
        let text = chunk.valid().chars().all(|c| {
            if c.is_control() || matches!(c, '%' | '=' | ';') {
                c.encode_utf8(&mut [0; 4]).bytes().all(|byte| push(&escaped(byte)))
            } else {
                push(c.encode_utf8(&mut [0; 4]))
            }
        });
        if !text || !chunk.invalid().iter().all(|byte| push(&escaped(*byte))) {
            return;
        }
    }
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
