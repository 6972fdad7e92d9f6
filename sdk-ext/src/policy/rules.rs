//! The `rules` list of a configuration: named, first match wins.

use serde::Deserialize;

use super::matching::{Match, PathCase, RawMatch, RequestView};
use crate::config::de::{Refusal, Struct};
use crate::config::{Checks, Json, Quoted};

/// The name under which requests are counted that no rule matched; rules cannot take it.
pub const DEFAULT_RULE: &str = "default";

const MAX_RULES: usize = 1000;

/// A rule as written, not looked into yet: what is wrong in one does not hide what is wrong in another.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub struct RawRule(Json);

/// The fields of a rule.
struct Parts {
    /// `[a-z0-9_-]{1,64}`; without one, `rule-` and its place in the list, counted from 0
    name: Option<String>,
    matching: RawMatch,
    config: Json,
}

impl RawRule {
    pub(crate) fn new(json: Json) -> RawRule {
        RawRule(json)
    }

    #[inline(never)]
    fn parts(&self) -> Result<Parts, Refusal> {
        let fields = Struct::of(&self.0, &["name", "match", "config"])?;
        let name = match fields.given("name") {
            Some(_) => fields.text("name")?,
            None => None,
        };
        Ok(Parts {
            name,
            matching: fields.one("match", RawMatch::read)?.unwrap_or_default(),
            config: fields.given("config").cloned().unwrap_or_else(|| Json::Object(Vec::new())),
        })
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule<C> {
    pub name: String,
    pub config: C,
    matching: Match,
}

/// Rules in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules<C>(Vec<Rule<C>>);

/// What a request must be asked for before rules can be compared with it. What no rule asks for need not be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    pub path: bool,
    pub route_name: bool,
    pub cluster: bool,
}

impl<C> Default for Rules<C> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<C> Rules<C> {
    /// Reads the list at `at`; `check` reads one rule's `config` (`{}` where there is none). `None` after something was
    /// refused.
    pub fn parse(
        raw: Vec<RawRule>,
        case: PathCase,
        at: &mut Checks<'_>,
        mut check: impl FnMut(Json, &mut Checks<'_>) -> Option<C>,
    ) -> Option<Self> {
        if raw.len() > MAX_RULES {
            at.refuse(format_args!("at most {MAX_RULES} rules"), raw.len());
            return None;
        }
        let count = raw.len();
        let mut rules: Vec<Rule<C>> = Vec::with_capacity(count);
        let mut names: Vec<String> = Vec::with_capacity(count);
        for (index, raw) in raw.into_iter().enumerate() {
            let at = &mut at.at(index);
            let parts = match raw.parts() {
                Ok(parts) => parts,
                Err(error) => {
                    at.absorb(error.at(at.pointer()));
                    continue;
                }
            };
            let name = parts.name.unwrap_or_else(|| format!("rule-{index}"));
            let named = check_name(&name, &names, &mut at.at("name"));
            let matching = Match::parse(parts.matching, case, &mut at.at("match"));
            let config = check(parts.config, &mut at.at("config"));
            names.push(name.clone());
            if let (true, Some(matching), Some(config)) = (named, matching, config) {
                rules.push(Rule { name, config, matching });
            }
        }
        (rules.len() == count).then_some(Self(rules))
    }

    /// The first rule that matches.
    pub fn select(&self, request: &RequestView<'_>) -> Option<&Rule<C>> {
        self.0.iter().find(|rule| rule.matching.matches(request))
    }

    pub fn asked(&self) -> Asked {
        Asked {
            path: self.0.iter().any(|rule| rule.matching.asks_path()),
            route_name: self.0.iter().any(|rule| rule.matching.asks_route_name()),
            cluster: self.0.iter().any(|rule| rule.matching.asks_cluster()),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Rule<C>> {
        self.0.iter()
    }
}

fn check_name(name: &str, taken: &[String], at: &mut Checks<'_>) -> bool {
    let letters =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-');
    if !(1..=64).contains(&name.len()) || !name.bytes().all(letters) {
        at.refuse_value("1 to 64 of a-z, 0-9, _ and -", name);
        return false;
    }
    if name == DEFAULT_RULE || taken.iter().any(|other| other == name) {
        at.refuse_quoting(
            (&"a name of its own", &format_args!("{}, which is taken", Quoted(name))),
            ("a name of its own", &"one that is taken"),
        );
        return false;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ConfigErrors, document, read};

    fn parse(text: &str) -> Result<Rules<Json>, String> {
        let raw: Vec<RawRule> = document(text.as_bytes())
            .and_then(|json| read(&json, "/rules"))
            .map_err(|error| error.to_string())?;
        let mut errors = ConfigErrors::default();
        let rules =
            Rules::parse(raw, PathCase::Kept, &mut Checks::new("/rules", &mut errors), |json, _| Some(json));
        errors.or(rules).map_err(|error| error.to_string())
    }

    fn at(path: &str) -> RequestView<'_> {
        RequestView {
            method: b"GET",
            authority: b"a",
            path: Some(path),
            headers: &[],
            route_name: b"",
            cluster: b"",
        }
    }

    #[test]
    fn the_first_rule_that_matches_wins() {
        let rules = parse(
            r#"[{"name": "health", "match": {"path": {"exact": "/a/health"}}},
                {"match": {"path": {"prefix": "/a"}}, "config": {"x": 1}},
                {"name": "never", "match": {"path": {"prefix": "/a"}}}]"#,
        )
        .unwrap();
        let name = |path| rules.select(&at(path)).map(|rule| rule.name.as_str());
        assert_eq!([name("/a/health"), name("/a/b"), name("/b")], [Some("health"), Some("rule-1"), None]);
        assert_eq!(rules.asked(), Asked { path: true, route_name: false, cluster: false });
    }

    #[test]
    fn what_is_wrong_in_any_rule_is_reported_with_its_place() {
        let text = r#"[{"name": "A"}, {"name": "b", "match": {"path": {"prefix": "b"}}}, {"name": "b"}, {"name": "default"}]"#;
        let message = parse(text).unwrap_err();
        for part in [
            "/rules/0/name: expected 1 to 64 of a-z, 0-9, _ and -, found \"A\"",
            "/rules/1/match/path/prefix: expected a canonical path, found \"b\", which has no `/` at its start",
            "/rules/2/name: expected a name of its own, found \"b\", which is taken",
            "/rules/3/name: expected a name of its own, found \"default\", which is taken",
        ] {
            assert!(message.contains(part), "{message}");
        }
        let message = parse(r#"[{"match": {"pth": {}}}]"#).unwrap_err();
        assert!(message.starts_with("/rules/0/match/pth: unknown field `pth`"), "{message}");
    }
}
