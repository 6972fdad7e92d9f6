//! Configurations that nobody should write, for the tests of filters: none may panic, all are refused, and each error names
//! its place in a line that fits a log.

use super::{Checked, Configuration, Envelope};

/// Longest error in bytes, and most errors of one configuration.
const LONGEST: usize = 2_000;
const MOST: usize = 30;

/// Parses every hostile configuration as this filter's; returns how many there were.
///
/// # Errors
/// What was not refused as it should be.
pub fn check<C: Checked>() -> Result<usize, String> {
    check_whole::<Envelope<C>>()
}

/// As [`check`], for a filter that reads the whole document itself.
///
/// # Errors
/// The same.
pub fn check_whole<C: Configuration>() -> Result<usize, String> {
    let texts = texts();
    let mut wrong = String::new();
    for (what, text) in &texts {
        let complaint = match C::parse(text) {
            Ok(_) => Some("was accepted".to_owned()),
            Err(errors) => {
                let placed = |pointer: &str| pointer.is_empty() || pointer.starts_with('/');
                let bad = errors.iter().find(|error| {
                    !placed(&error.pointer) || error.message.is_empty() || error.to_string().len() > LONGEST
                });
                let many = (errors.iter().count() > MOST).then(|| "has errors without end".to_owned());
                bad.map(|error| format!("has the error {:.200}", error.to_string())).or(many)
            }
        };
        if let Some(complaint) = complaint {
            wrong.push_str(&format!("{what}: {complaint}\n"));
        }
    }
    if wrong.is_empty() { Ok(texts.len()) } else { Err(wrong) }
}

fn texts() -> Vec<(String, Vec<u8>)> {
    let written = DOCUMENTS.iter().copied().map(Vec::from);
    let within = |before: &str, after: &str| {
        let (before, after) = (before.to_owned(), after.to_owned());
        values().into_iter().map(move |value| [before.as_bytes(), &value, after.as_bytes()].concat())
    };
    written
        .chain(values().into_iter().filter(|value| value != b"{}"))
        .chain(
            within(r#"{"version": 1, "defaults": "#, "}")
                .filter(|text| text != br#"{"version": 1, "defaults": null}"#),
        )
        .chain(within(r#"{"version": "#, "}"))
        .chain(within(r#"{"version": 1, "mode": "#, "}"))
        .chain(within(r#"{"version": 1, "rules": "#, "}"))
        .chain(within(r#"{"version": 1, "rules": ["#, "]}"))
        .chain(within(r#"{"version": 1, "rules": [{"match": {"path": "#, "}}]}"))
        .chain(within(r#"{"version": 1, "metrics": {"max_series": "#, "}}"))
        .chain(within(r#"{"version": 1, "metrics": {"labels": ["#, "]}}"))
        .chain([
            [
                br#"{"version": 1, "rules": ["#.to_vec(),
                vec![b"{}".to_vec(); 1001].join(&b','),
                b"]}".to_vec(),
            ]
            .concat(),
            format!(r#"{{"version": 1, "{}": 1}}"#, "x".repeat(1 << 20)).into_bytes(),
            format!("{{\"version\": 1{}}}", ", \"version\": 1".repeat(10_000)).into_bytes(),
            format!(
                "{{{}\"version\": 1}}",
                (0..100_000).map(|n| format!("\"k{n}\": 1, ")).collect::<String>()
            )
            .into_bytes(),
        ])
        .map(|text| (format!("{:.100}", text.escape_ascii()), text))
        .collect()
}

/// Whole documents.
const DOCUMENTS: [&[u8]; 18] = [
    b"",
    b" \n",
    b"{}",
    b"{",
    b"\xef\xbb\xbf{\"version\": 1}",
    b"\xff\xfe{\0}\0",
    b"{\"version\": 1} {}",
    b"{\"version\": 1}\0",
    b"{\"version\": 1} // a comment",
    b"{\"version\": 1,}",
    b"{'version': 1}",
    b"{version: 1}",
    b"version: 1",
    b"{\"version\": 1, \"version\": 1}",
    b"{\"version\": 1, \"mode\": \"shadow\", \"mode\": \"off\"}",
    b"{\"version\": 1, \"\\ud800\": 1}",
    b"{\"version\": 1, \"\": 1}",
    b"{\"version\": 1, \"a/b~c\": 1}",
];

/// Values that fit nowhere here.
fn values() -> Vec<Vec<u8>> {
    let nested = |open: &str| open.repeat(100_000).into_bytes();
    let mut values: Vec<Vec<u8>> = [
        "-1",
        "-0.5",
        "1e999",
        "1e300",
        "-1e-300",
        "0.1",
        "99999999999999999999999999",
        "NaN",
        "Infinity",
        "01",
        "+1",
        "0x1",
        "true",
        "\"\"",
        "\"\\u0000\"",
        "\"\\ud800\"",
        "[[]]",
        "[null]",
        "{\"a\": 1, \"a\": 2}",
        "{\"\": {}}",
        "\"",
        "[",
        "}",
    ]
    .iter()
    .map(|text| text.as_bytes().to_vec())
    .collect();
    values.extend([nested("["), nested("{\"a\":"), b"\"\xff\xfe\"".to_vec(), b"\xff".to_vec()]);
    values.push([&b"\""[..], &vec![b'x'; 1 << 20], b"\""].concat());
    values
}

#[cfg(test)]
mod tests {
    use crate::config::{Checked, Checks};

    /// A filter with nothing to configure.
    #[derive(Debug)]
    struct Nothing;

    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct RawNothing {}

    impl Checked for Nothing {
        type Raw = RawNothing;

        fn check(_: RawNothing, _: &mut Checks<'_>) -> Option<Nothing> {
            Some(Nothing)
        }
    }

    #[test]
    fn nothing_hostile_is_accepted_or_answered_at_length() {
        assert!(super::check::<Nothing>().unwrap() > 200);
    }
}
