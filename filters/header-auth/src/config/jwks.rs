//! Where a key set is fetched from, and on which terms.

use std::rc::Rc;
use std::time::Duration;

use wayside_credentials::jwks::Terms;
use wayside_sdk::Checks;
use wayside_sdk::config::{Json, read};
use wayside_sdk::units::DurationText;

use super::NOT_SHOWN;
use crate::jwks::{Place, Remote};

/// A `jwks` that is kept at the provider.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRemote {
    uri: String,
    cluster: String,
    #[serde(default)]
    host: Option<String>,
    #[serde(default = "ten_minutes")]
    refresh: DurationText,
    #[serde(default = "half_a_minute")]
    min_refetch: DurationText,
    #[serde(default = "two_seconds")]
    timeout: DurationText,
    #[serde(default = "a_day")]
    stale_if_error: DurationText,
    #[serde(default = "two_seconds")]
    wait: DurationText,
}

fn ten_minutes() -> DurationText {
    DurationText(Duration::from_secs(600))
}

fn half_a_minute() -> DurationText {
    DurationText(Duration::from_secs(30))
}

fn two_seconds() -> DurationText {
    DurationText(Duration::from_secs(2))
}

fn a_day() -> DurationText {
    DurationText(Duration::from_secs(86_400))
}

pub(super) fn check(name: &str, json: &Json, at: &mut Checks<'_>) -> Option<Rc<Remote>> {
    match read::<RawRemote>(json, at.pointer()) {
        Ok(raw) => check_read(name, raw, at),
        Err(errors) => {
            at.absorb(errors);
            None
        }
    }
}

fn check_read(name: &str, raw: RawRemote, at: &mut Checks<'_>) -> Option<Rc<Remote>> {
    let visible = |text: &str, most| {
        (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
    };
    let mut good = true;
    let mut refuse = |at: &mut Checks<'_>, field, expected: &str, found: &str| {
        at.at(field).refuse(expected, found);
        good = false;
    };
    if !(visible(&raw.uri, 2048) && raw.uri.starts_with('/') && !raw.uri.contains('#')) {
        refuse(at, "uri", "a path of visible ASCII characters that starts with `/`", NOT_SHOWN);
    }
    if !visible(&raw.cluster, 255) {
        refuse(at, "cluster", "the name of a cluster", NOT_SHOWN);
    }
    let host = raw.host.unwrap_or_else(|| raw.cluster.clone());
    if !visible(&host, 255) || host.contains(['/', '?', '#', '@', '\\']) {
        refuse(at, "host", "a host, with or without a port", NOT_SHOWN);
    }
    let limits: [(&str, DurationText, u64, u64); 5] = [
        ("refresh", raw.refresh, 1_000, 604_800_000),
        ("min_refetch", raw.min_refetch, 1_000, 3_600_000),
        ("timeout", raw.timeout, 1, 60_000),
        ("stale_if_error", raw.stale_if_error, 0, 2_592_000_000),
        ("wait", raw.wait, 0, 60_000),
    ];
    for (field, DurationText(time), least, most) in limits {
        let (least, most) = (Duration::from_millis(least), Duration::from_millis(most));
        if !(least..=most).contains(&time) {
            let expected = format!("{} to {}", DurationText(least), DurationText(most));
            refuse(at, field, &expected, &DurationText(time).to_string());
        }
    }
    if raw.refresh < raw.min_refetch {
        let expected = format!("`min_refetch` or more, which is {}", raw.min_refetch);
        refuse(at, "refresh", &expected, &raw.refresh.to_string());
    }
    let terms = Terms {
        refresh: raw.refresh.0,
        min_refetch: raw.min_refetch.0,
        timeout: raw.timeout.0,
        stale_if_error: raw.stale_if_error.0,
    };
    let place = Place { cluster: raw.cluster, host, path: raw.uri };
    good.then(|| Remote::new(name.to_owned(), &place, terms, raw.wait.0))
}

#[cfg(test)]
mod tests {
    use wayside_sdk::Configuration as _;

    use crate::config::Config;

    fn told(jwks: &str) -> String {
        let text = format!(
            r#"{{"version": 1, "providers": {{"p": {{"kind": "jwt", "issuer": "i", "jwks": {{{jwks}}}}}}}, "defaults": {{"require": {{"any": ["p"]}}}}}}"#
        );
        match Config::parse(text.as_bytes()) {
            Ok(config) => format!("{} fetched", config.remotes.len()),
            Err(errors) => errors.to_string(),
        }
    }

    #[test]
    fn a_path_and_a_cluster_will_do() {
        assert_eq!(told(r#""uri": "/jwks.json", "cluster": "idp""#), "1 fetched");
    }

    #[test]
    fn what_cannot_be_fetched_or_makes_no_sense_is_refused_all_at_once() {
        let refused = told(
            r#""uri": "https://idp/keys", "cluster": "", "host": "a/b", "refresh": "10s", "timeout": "0s", "stale_if_error": "9999h", "wait": "2m""#,
        );
        let places: Vec<&str> =
            refused.lines().filter_map(|line| Some(line.split_once(": ")?.0.trim())).collect();
        let fields = ["uri", "cluster", "host", "timeout", "stale_if_error", "wait", "refresh"];
        assert_eq!(places, fields.map(|field| format!("/providers/p/jwks/{field}")), "{refused}");
        assert!(!refused.contains("https") && !refused.contains("a/b"), "{refused}");
    }

    #[test]
    fn a_field_that_is_no_field_is_refused_by_its_place() {
        let refused = told(r#""uri": "/jwks.json", "cluster": "idp", "refrehs": "1m""#);
        assert!(refused.contains("refrehs"), "{refused}");
    }
}
