//! Any bytes as a path: read as RFC 3986 says, step by step, and matched as a plain comparison of segments would.

use wayside_sdk::Checks;
use wayside_sdk::config::{ConfigErrors, document, read};
use wayside_sdk::policy::{PathCase, PathReading, RawRule, RequestView, Rules, read_path};

pub(crate) fn case(bytes: &[u8]) {
    let PathReading::Canonical(path) = read_path(bytes) else { return };
    let strict = path.as_str();
    assert_eq!(strict, by_the_book(bytes), "{}", bytes.escape_ascii());
    for reading in [Some(strict), path.lenient()].into_iter().flatten() {
        assert!(reading == "*" || reading.starts_with('/'), "{reading}");
        assert!(!reading.contains("//") && reading.bytes().all(|byte| byte.is_ascii_graphic()), "{reading}");
        assert!(!reading.split('/').any(|segment| matches!(segment, "." | "..")), "{reading}");
    }
    assert_ne!(path.lenient(), Some(strict));
    match read_path(strict.as_bytes()) {
        PathReading::Canonical(again) => assert_eq!(again.as_str(), strict),
        other => panic!("{strict} reads as {other:?}"),
    }
    assert_eq!(path.folded().as_str(), strict.to_ascii_lowercase());
    matched(strict);
}

/// RFC 3986 in its own steps: unreserved characters unescaped (6.2.2.2), hexadecimal digits in capitals (6.2.2.1), dot segments
/// removed with two buffers (5.2.4); then empty segments dropped.
fn by_the_book(target: &[u8]) -> String {
    let path = target.split(|byte| matches!(byte, b'?' | b'#')).next().unwrap_or_default();
    let mut input = String::new();
    let mut rest = path;
    while let [byte, tail @ ..] = rest {
        rest = tail;
        if *byte != b'%' {
            input.push(char::from(*byte));
            continue;
        }
        let (digits, tail) = rest.split_at(2);
        rest = tail;
        let code = u8::from_str_radix(std::str::from_utf8(digits).expect("digits"), 16).expect("digits");
        match code {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                input.push(char::from(code))
            }
            _ => input.push_str(&format!("%{code:02X}")),
        }
    }
    if input == "*" {
        return input;
    }
    let mut output = String::new();
    let mut input = &input[..];
    while !input.is_empty() {
        if let Some(rest) = input.strip_prefix("../").or_else(|| input.strip_prefix("./")) {
            input = rest;
        } else if input.starts_with("/./") {
            input = &input[2..];
        } else if input == "/." {
            input = "/";
        } else if input.starts_with("/../") || input == "/.." {
            input = if input == "/.." { "/" } else { &input[3..] };
            output.truncate(output.rfind('/').unwrap_or(0));
        } else if matches!(input, "." | "..") {
            input = "";
        } else {
            let end = input[1..].find('/').map_or(input.len(), |end| end + 1);
            output.push_str(&input[..end]);
            input = &input[end..];
        }
    }
    while output.contains("//") {
        output = output.replace("//", "/");
    }
    output
}

/// Every prefix of whole segments matches, and no other path does.
fn matched(path: &str) {
    let cuts: Vec<usize> =
        path.match_indices('/').map(|(at, _)| at).filter(|at| *at > 0).chain([path.len()]).collect();
    for cut in cuts.into_iter().take(8) {
        let prefix = &path[..cut];
        let quoted = serde_json::to_string(prefix).expect("text");
        let text = format!(
            r#"[{{"match": {{"path": {{"prefix": {quoted}}}}}}}, {{"match": {{"path": {{"exact": {quoted}}}}}}}]"#
        );
        let raw: Vec<RawRule> = read(&document(text.as_bytes()).expect("JSON"), "").expect("rules");
        let mut errors = ConfigErrors::default();
        let Some(rules) =
            Rules::parse(raw, PathCase::Kept, &mut Checks::new("", &mut errors), |_, _| Some(()))
        else {
            panic!("{prefix}: {errors}");
        };
        let selected = |path: &str| {
            let request = RequestView {
                method: b"GET",
                authority: b"",
                path: Some(path),
                headers: &[],
                route_name: b"",
                cluster: b"",
            };
            rules.select(&request).map(|rule| rule.name.clone())
        };
        assert_eq!(selected(path).as_deref(), Some("rule-0"), "{prefix} and {path}");
        // The same path with a longer last segment is another one; unless no segment was asked for.
        let longer = selected(&format!("{}x", prefix.trim_end_matches('/')));
        assert!(prefix == "/" || prefix == "*" || longer.is_none(), "{prefix} and {longer:?}");
    }
}
