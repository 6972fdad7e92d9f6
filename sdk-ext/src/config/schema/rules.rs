//! The schema of a rule: what `Rules` reads, and the `match` object.

use super::JsonSchema;

/// One of `rules`; `C` is what its `config` may hold.
#[derive(JsonSchema)]
#[schemars(rename = "Rule", deny_unknown_fields)]
#[expect(dead_code, reason = "described, never made")]
pub struct RuleSchema<C> {
    /// Under which requests are counted; without one `rule-` and its place in the list, from 0. `default` is taken.
    #[schemars(regex(pattern = "^[a-z0-9_-]{1,64}$"))]
    name: Option<String>,
    /// Which requests it is for; all conditions given must hold, and none matches everything.
    #[schemars(default)]
    r#match: MatchSchema,
    /// What holds for these requests.
    #[schemars(default)]
    config: Option<C>,
}

impl<C> std::fmt::Debug for RuleSchema<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RuleSchema")
    }
}

#[derive(Debug, Default, JsonSchema)]
#[schemars(rename = "Match", deny_unknown_fields)]
#[expect(dead_code, reason = "described, never made")]
struct MatchSchema {
    /// `api.example`, or `*.example` for what is below it.
    #[schemars(length(min = 1))]
    host: Option<String>,
    path: Option<PathSchema>,
    /// In capital letters; `GET` is also `HEAD`.
    #[schemars(length(min = 1), inner(regex(pattern = "^[A-Z-]+$")))]
    methods: Option<Vec<String>>,
    #[schemars(default)]
    headers: Vec<HeaderSchema>,
    /// `xds.route_name`
    #[schemars(length(min = 1))]
    route_name: Option<String>,
    /// `xds.cluster_name`
    #[schemars(length(min = 1))]
    cluster: Option<String>,
}

/// A path in canonical form: no dot segments, no empty segments, no needless escapes.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "PathMatch", rename_all = "snake_case", deny_unknown_fields)]
#[expect(dead_code, reason = "described, never made")]
enum PathSchema {
    /// This path alone.
    Exact(String),
    /// On segment borders: `/admin` is not `/administrator`.
    Prefix(String),
    /// `/v1/users/{id}`; `{…}` is one segment that is not empty.
    Template(String),
}

/// A header with exactly one of `exact`, `prefix` and `present`.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "HeaderMatch", deny_unknown_fields)]
#[expect(dead_code, reason = "described, never made")]
struct HeaderSchema {
    #[schemars(length(min = 1))]
    name: String,
    exact: Option<String>,
    prefix: Option<String>,
    present: Option<bool>,
}
