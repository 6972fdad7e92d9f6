//! A route's match (envoy/config/route/v3/route_components.proto, `RouteMatch`) → [`RouteMatch`].

use super::raw::{Cursor, Fields};
use crate::router::{
    FullMatch, HeaderCondition, HeaderMatch, PathMatch, Pattern, QueryCondition, QueryMatch, RouteMatch,
    StringMatch,
};

const PATHS: [&str; 6] =
    ["prefix", "path", "safe_regex", "path_separated_prefix", "connect_matcher", "path_match_policy"];

/// `None`: wrong, or with a condition that is not emulated; both are recorded.
pub(super) fn route_match(field: &Cursor<'_>) -> Option<RouteMatch> {
    let fields = field.fields()?;
    fields.not_emulated("runtime_fraction", "the route is taken always, not by chance");
    fields.not_emulated("dynamic_metadata", "the condition is taken to hold");
    fields.not_emulated("filter_state", "the condition is taken to hold");
    fields.not_emulated("cookies", "the condition is taken to hold");
    fields.not_emulated("tls_context", "the condition is taken to hold");
    let case_sensitive = fields.bool("case_sensitive").unwrap_or(true);
    let headers = fields.list("headers").iter().map(header_match).collect::<Vec<_>>();
    let query_parameters = fields.list("query_parameters").iter().map(query_match).collect::<Vec<_>>();
    let grpc_only = fields.get("grpc").is_some();
    let path = path_match(&fields)?;
    Some(RouteMatch {
        path,
        case_sensitive,
        headers: headers.into_iter().collect::<Option<_>>()?,
        query_parameters: query_parameters.into_iter().collect::<Option<_>>()?,
        grpc_only,
    })
}

fn path_match(fields: &Fields<'_>) -> Option<PathMatch> {
    let Some((kind, field)) = fields.one_of(&PATHS) else {
        fields.cursor().error("no path to match", "prefix, path, safe_regex or path_separated_prefix");
        return None;
    };
    match kind {
        "prefix" => field.text().map(|text| PathMatch::Prefix(text.to_owned())),
        "path" => field.text().map(|text| PathMatch::Exact(text.to_owned())),
        "safe_regex" => regex(&field).map(PathMatch::Regex),
        "path_separated_prefix" => {
            let text = field.text()?;
            let usable = text.starts_with('/') && !text.ends_with('/') && !text.contains(['?', '#']);
            if !usable {
                field.wrong("a path such as \"/api/v1\", without ? and # and without a / at the end");
            }
            usable.then(|| PathMatch::SeparatedPrefix(text.to_owned()))
        }
        _ => {
            field.not_emulated("this kind of match is not emulated: the route is left out");
            None
        }
    }
}

fn regex(field: &Cursor<'_>) -> Option<FullMatch> {
    let fields = field.fields()?;
    fields.harmless("google_re2", "the only engine");
    let expression = fields.required("regex", "a regular expression")?;
    FullMatch::new(expression.text()?)
        .map_err(|error| {
            // The last line of the message says what is wrong; those before draw the expression.
            let text = error.to_string();
            let reason = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
            expression.error(
                format!("{:?} ({reason})", expression.text().unwrap_or_default()),
                "a regular expression in RE2's syntax",
            );
        })
        .ok()
}

fn header_match(field: &Cursor<'_>) -> Option<HeaderMatch> {
    let fields = field.fields()?;
    let name = fields.required("name", "the header's name")?.text()?.to_ascii_lowercase();
    let invert = fields.bool("invert_match").unwrap_or(false);
    let missing_is_empty = fields.bool("treat_missing_header_as_empty").unwrap_or(false);
    let condition = match fields.one_of(&HEADER_CONDITIONS) {
        None => HeaderCondition::Present(true),
        Some(("present_match", field)) => HeaderCondition::Present(field.bool()?),
        Some(("range_match", field)) => {
            let range = field.fields()?;
            let bound = |name: &str| range.get(name).map_or(Some(0), |bound| bound.integer("a whole number"));
            HeaderCondition::Range { start: bound("start")?, end: bound("end")? }
        }
        Some(("string_match", field)) => HeaderCondition::Value(string_match(&field)?),
        Some((kind, field)) => {
            let pattern = pattern(kind.strip_suffix("_match").unwrap_or(kind), &field)?;
            HeaderCondition::Value(StringMatch { pattern, ignore_case: false })
        }
    };
    Some(HeaderMatch { name, condition, invert, missing_is_empty })
}

/// The last five are deprecated in favour of `string_match`.
const HEADER_CONDITIONS: [&str; 8] = [
    "present_match",
    "range_match",
    "string_match",
    "exact_match",
    "safe_regex_match",
    "prefix_match",
    "suffix_match",
    "contains_match",
];

fn query_match(field: &Cursor<'_>) -> Option<QueryMatch> {
    let fields = field.fields()?;
    let name = fields.required("name", "the parameter's name")?.text()?.to_owned();
    let condition = match fields.one_of(&["present_match", "string_match"]) {
        None => QueryCondition::Present(true),
        Some(("present_match", field)) => QueryCondition::Present(field.bool()?),
        Some((_, field)) => QueryCondition::Value(string_match(&field)?),
    };
    Some(QueryMatch { name, condition })
}

fn string_match(field: &Cursor<'_>) -> Option<StringMatch> {
    let fields = field.fields()?;
    let ignore_case = fields.bool("ignore_case").unwrap_or(false);
    let Some((kind, value)) =
        fields.one_of(&["exact", "prefix", "suffix", "contains", "safe_regex", "custom"])
    else {
        field.error("no comparison", "exact, prefix, suffix, contains or safe_regex");
        return None;
    };
    Some(StringMatch { pattern: pattern(kind, &value)?, ignore_case })
}

fn pattern(kind: &str, value: &Cursor<'_>) -> Option<Pattern> {
    match kind {
        "exact" => value.text().map(|text| Pattern::Exact(text.to_owned())),
        "prefix" => value.text().map(|text| Pattern::Prefix(text.to_owned())),
        "suffix" => value.text().map(|text| Pattern::Suffix(text.to_owned())),
        "contains" => value.text().map(|text| Pattern::Contains(text.to_owned())),
        "safe_regex" => regex(value).map(Pattern::Regex),
        _ => {
            value.not_emulated("this comparison is not emulated: the route is left out");
            None
        }
    }
}
