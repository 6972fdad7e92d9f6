//! Schema and reader take and refuse the same documents, but for what a schema cannot say, which is listed here. Documents are made
//! from good ones by putting something else in every place.

use crate::documents::{full, kept, of_scenarios};
use crate::places;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use wayside_schemas::{FILTERS, Filter};

/// What readers refuse and schemas do not, by filter: places, with `*` for any one step.
const BEYOND: [(&str, &[&str]); 4] = [
    (
        "header-auth",
        &[
            "/providers/*/sources",
            "/providers/*/sources/*",
            "/providers/*/sources/*/*",
            "/providers/*/form",
            "/providers/*/pepper_env",
            "/providers/*/allow_slow_hash",
            "/providers/*/allow_sha1",
            "/providers/*/keys",
            "/providers/*/keys/*",
            "/providers/*/keys/*/key",
            "/providers/*/keys/*/hmac_sha256",
            "/providers/*/keys/*/bcrypt",
            "/providers/*/keys/*/argon2id",
            "/providers/*/keys/*/id",
            "/providers/*/keys/*/sha256",
            "/providers/*/keys/*/not_before",
            "/providers/*/keys/*/not_after",
            "/providers/*/users",
            "/providers/*/users/*",
            "/providers/*/users/*/name",
            "/providers/*/users/*/password",
            "/providers/*/users/*/bcrypt",
            "/providers/*/users/*/argon2id",
            "/providers/*/users/*/sha1",
            "/providers/*/users/*/sha256_salted/digest",
            "/providers/*/profile",
            "/providers/*/secrets",
            "/providers/*/secrets/*",
            "/providers/*/secrets/*/*",
            "/providers/*/clients",
            "/providers/*/clients/*",
            "/providers/*/clients/*/*",
            "/providers/*/validated_by",
            "/providers/*/cache_size",
            "/providers/*/signers",
            "/providers/*/signers/*",
            "/providers/*/signers/*/*",
            "/providers/*/label",
            "/providers/*/tag",
            "/providers/*/required_components",
            "/providers/*/required_components/*",
            "/providers/*/content_digest",
            "/providers/*/max_age",
            "/providers/*/skew",
            "/providers/*/require_nonce",
            "/providers/*/replay",
            "/providers/*/max_body",
            "/providers/*/structured_fields",
            "/providers/*/issuer",
            "/providers/*/audiences",
            "/providers/*/jwks",
            "/providers/*/jwks/*",
            "/providers/*/jwks/*/*",
            "/providers/*/jwks/*/*/*",
            "/providers/*/algorithms",
            "/providers/*/algorithms/*",
            "/providers/*/typ",
            "/providers/*/require_exp",
            "/providers/*/max_lifetime",
            "/providers/*/require_sub",
            "/providers/*/claims",
            "/providers/*/claims/*",
            "/providers/*/max_keys_tried",
            "/identity/claims/*",
            "/defaults/authorize/claims/*",
            "/defaults/authorize/claims/*/*",
            "/identity/prefix",
            "/identity/headers",
            "/identity/headers/*",
            "/defaults/require",
            "/defaults/require/*",
            "/defaults/require/*/*",
            "/defaults/authorize",
            "/rules/*/config/require/*",
            "/rules/*/config/require/*/*",
            "/rules/*/config/authorize",
            MATCH[0],
            MATCH[1],
            MATCH[2],
            MATCH[3],
            MATCH[4],
        ],
    ),
    (
        "retry-budget",
        &[
            // Ranges of durations, decimals with fewer places, and what a preset decides.
            "/*/budget",
            "/*/budget/*",
            "/*/enforcement",
            "/*/exhausted_status",
            "/*/per_request/max_retries",
            "/*/per_request/per_try_timeout",
            "/*/per_request/min_time_for_retry",
            "/*/pushback/max_hold",
            "/rules/*/config/budget",
            "/rules/*/config/budget/*",
            "/rules/*/config/enforcement",
            "/rules/*/config/exhausted_status",
            "/rules/*/config/per_request/max_retries",
            "/rules/*/config/per_request/per_try_timeout",
            "/rules/*/config/per_request/min_time_for_retry",
            "/rules/*/config/pushback/max_hold",
            MATCH[0],
            MATCH[1],
            MATCH[2],
            MATCH[3],
            MATCH[4],
        ],
    ),
    (
        "telemetry",
        &[
            // What belongs together, closed lists of another file, and ranges of durations and sizes.
            "/access_log/sink",
            "/access_log/fields",
            "/access_log/fields/*",
            "/attempts",
            "/export/*",
            "/export/*/*",
            "/metrics/labels",
            "/metrics/labels/*",
            "/propagation/*",
            "/propagation/*/*",
            "/propagation/baggage/allow/*",
            "/resource",
            "/resource/*",
            "/sampling/*",
            "/sampling/tail/*",
            MATCH[0],
            MATCH[1],
            MATCH[2],
            MATCH[3],
            MATCH[4],
        ],
    ),
    (
        "timeout",
        &[
            "/defaults/timeout",
            "/defaults/per_try",
            "/defaults/min_per_try",
            "/defaults/hop_margin",
            "/defaults/min_budget",
            "/defaults/max_reject_fraction",
            "/defaults/reject_window",
            "/defaults/skew",
            "/defaults/tick",
            "/defaults/phases/*",
            "/defaults/streaming/content_types",
            "/defaults/streaming/content_types/*",
            "/defaults/streaming/grpc_methods",
            "/defaults/streaming/grpc_methods/*",
            "/defaults/adaptive/*",
            "/defaults/hedge",
            "/defaults/hedge/*",
            "/defaults/hedge/grpc_idempotent_methods/*",
            "/rules/*/config/timeout",
            "/rules/*/config/per_try",
            "/rules/*/config/min_per_try",
            "/rules/*/config/hop_margin",
            "/rules/*/config/min_budget",
            "/rules/*/config/max_reject_fraction",
            "/rules/*/config/reject_window",
            "/rules/*/config/skew",
            "/rules/*/config/tick",
            "/rules/*/config/phases/*",
            "/rules/*/config/streaming/content_types",
            "/rules/*/config/streaming/content_types/*",
            "/rules/*/config/streaming/grpc_methods",
            "/rules/*/config/streaming/grpc_methods/*",
            "/rules/*/config/adaptive/*",
            "/rules/*/config/hedge",
            "/rules/*/config/hedge/*",
            "/rules/*/config/hedge/grpc_idempotent_methods/*",
            MATCH[0],
            MATCH[1],
            MATCH[2],
            MATCH[3],
            MATCH[4],
        ],
    ),
];

/// Names that are each other's, canonical paths, and header conditions of which one must be there.
const MATCH: [&str; 5] = [
    "/rules/*/name",
    "/rules/*/match/host",
    "/rules/*/match/path/*",
    "/rules/*/match/headers/*",
    "/rules/*/match/headers/*/name",
];

fn is_beyond(filter: &str, pointer: &str) -> bool {
    // The reader has said enough.
    if pointer.is_empty() {
        return true;
    }
    let steps: Vec<_> = pointer.split('/').collect();
    let fits = |pattern: &str| {
        let pattern: Vec<_> = pattern.split('/').collect();
        pattern.len() == steps.len()
            && pattern.iter().zip(&steps).all(|(one, step)| *one == "*" || one == step)
    };
    BEYOND.iter().any(|(name, patterns)| *name == filter && patterns.iter().any(|pattern| fits(pattern)))
}

/// A value of each kind, and those at the borders of ranges.
fn kinds() -> Vec<Value> {
    let mut probes = vec![
        json!(null),
        json!(true),
        json!(false),
        json!([]),
        json!({}),
        json!([null]),
        json!([1]),
        json!([[]]),
        json!({"a": 1}),
        json!(0),
        json!(1),
        json!(-1),
        json!(0.5),
        json!(1.0),
        json!(1e300),
        json!(-0.5),
        json!(u64::MAX),
    ];
    let borders = [
        2, 3, 10, 11, 60, 61, 99, 100, 599, 600, 1000, 65_536, 65_537, 100_000, 100_001, 1_000_000, 1_000_001,
    ];
    probes.extend(borders.map(Value::from));
    probes
}

/// What is put in the place of something else: every kind of value, at the borders of ranges, and every word of the schema.
fn probes(schema: &Value) -> Vec<Value> {
    let mut probes = kinds();
    let texts = [
        "",
        "a",
        "A",
        "x-a",
        "X-A",
        "/a",
        "/a/../b",
        "a/b",
        "/a/b",
        "*.a",
        "5m",
        "1s",
        "0s",
        "100h",
        "1h1h1h1h1h",
        "1.5s",
        "1d",
        "-",
        "é",
        "a b",
        "a\"b",
        "GET",
        "get",
        "authorization",
        "cookie",
        "\u{7f}",
        "l7",
        "L7",
    ];
    probes.extend(texts.map(Value::from));
    probes.extend([
        json!("a".repeat(64)),
        json!("a".repeat(65)),
        json!("a".repeat(128)),
        json!("a".repeat(129)),
        json!("0".repeat(32)),
    ]);
    probes.extend([json!(["a"]), json!(["GET"]), json!(["rule", "rule"]), json!(["rule"])]);
    let mut words = BTreeSet::new();
    places::walk(schema, String::new(), &mut |_, value| {
        words.extend(value.get("const").and_then(Value::as_str).map(str::to_owned));
        let several = value.get("enum").and_then(Value::as_array).into_iter().flatten();
        words.extend(several.filter_map(Value::as_str).map(str::to_owned));
    });
    probes.extend(words.iter().cloned().map(Value::from));
    probes.extend(words.iter().map(|word| json!([word, word])));
    probes
}

/// Everything that is one change away from this document.
fn changed(document: &Value, probes: &[Value], names: &BTreeSet<String>) -> Vec<(String, Value)> {
    let mut places = Vec::new();
    places::walk(document, String::new(), &mut |at, value| places.push((at.to_owned(), value.clone())));
    let mut all = Vec::new();
    for (at, value) in places {
        let mut put = |what: String, new: Value| {
            let mut changed = document.clone();
            *changed.pointer_mut(&at).expect("the place is there") = new;
            all.push((format!("{at} {what}"), changed));
        };
        probes.iter().for_each(|probe| put(format!("= {probe}"), probe.clone()));
        match value {
            Value::Object(fields) => {
                for name in fields.keys() {
                    let mut without = fields.clone();
                    without.remove(name);
                    put(format!("without {name}"), without.into());
                }
                for name in names.iter().filter(|name| !fields.contains_key(*name)) {
                    let mut with = fields.clone();
                    with.insert(name.clone(), Value::Null);
                    put(format!("with {name}"), with.into());
                }
            }
            Value::Array(items) => {
                let twice = [items.clone(), items.clone()].concat();
                put("twice".to_owned(), twice.into());
                put("1001 times".to_owned(), vec![items.first().cloned().unwrap_or_default(); 1001].into());
            }
            _ => {}
        }
    }
    all
}

fn schema_of(filter: &Filter) -> Value {
    serde_json::from_str(&(filter.schema)()).expect("a document")
}

#[test]
fn schema_and_reader_agree_on_every_change_to_what_is_right() {
    for filter in FILTERS {
        let schema = schema_of(&filter);
        let validator = jsonschema::draft202012::new(&schema).expect("a schema");
        let probes = probes(&schema);
        let mut names: BTreeSet<_> = places::properties(&schema)
            .into_iter()
            .filter_map(|at| at.rsplit('/').next().map(str::to_owned))
            .collect();
        names.extend(["zzz", "key", "secret", "password", "jitter"].map(str::to_owned));
        let mut cases = [0_usize; 4];
        let mut wrong = BTreeSet::new();
        let mut judge = |what: String, document: &Value| {
            let (fits, read) = (validator.is_valid(document), (filter.read)(document.to_string().as_bytes()));
            cases[usize::from(fits) * 2 + usize::from(read.is_ok())] += 1;
            match read {
                Ok(_) if !fits => {
                    let why = validator
                        .iter_errors(document)
                        .next()
                        .map(|error| error.to_string())
                        .unwrap_or_default();
                    wrong.insert(format!("{what}: taken, but {why:.200}"));
                }
                Err(errors) if fits => {
                    let strange = errors.iter().find(|error| {
                        error.message.contains("unknown field") || !is_beyond(filter.name, &error.pointer)
                    });
                    wrong.extend(strange.map(|error| format!("{what}: fits, but {error:.200}")));
                }
                _ => {}
            }
        };
        for (name, document) in of_scenarios(filter.name) {
            judge(name, &document);
        }
        for (_, document) in kept(filter.name) {
            for (what, changed) in changed(&document, &probes, &names) {
                judge(what, &changed);
            }
        }
        let told: Vec<_> = wrong.iter().take(30).cloned().collect();
        assert!(wrong.is_empty(), "{}: {} wrong\n{}", filter.name, wrong.len(), told.join("\n"));
        let [refused, _, beyond, taken] = cases;
        let told = format!(
            "{}: {taken} taken, {refused} refused by both, {beyond} by the reader alone",
            filter.name
        );
        assert!(taken > 100 && refused > 1000, "{told}");
    }
}

/// The reader lists the fields it knows when it meets another: the same as the schema's, in every object.
#[test]
fn both_know_the_same_fields_everywhere() {
    for filter in FILTERS {
        let (schema, document) = (schema_of(&filter), full(filter.name));
        let mut visited = BTreeSet::new();
        let mut objects = Vec::new();
        places::walk(&document, String::new(), &mut |at, value| {
            visited.extend(places::describing(&schema, at));
            if value.is_object() {
                objects.push(at.to_owned());
            }
        });
        let all = places::properties(&schema);
        let unseen: Vec<_> = all.difference(&visited).collect();
        assert!(unseen.is_empty(), "{}: full.json lacks {unseen:?}", filter.name);
        for at in objects {
            let Some(names) = places::names(&schema, &at) else { continue };
            let mut strange = document.clone();
            strange
                .pointer_mut(&at)
                .and_then(Value::as_object_mut)
                .expect("an object")
                .insert("zzz".into(), json!(1));
            let errors = (filter.read)(strange.to_string().as_bytes()).expect_err("an unknown field");
            let told = errors.iter().find(|error| error.message.starts_with("unknown field `zzz`"));
            // An object with one key of several has its own way to say so.
            let Some(told) = told else {
                assert!(
                    errors.to_string().contains("an object with one key"),
                    "{} {at}: {errors}",
                    filter.name
                );
                continue;
            };
            let known: BTreeSet<_> = told.message.split('`').skip(3).step_by(2).map(str::to_owned).collect();
            let extra: Vec<_> = known.difference(&names).map(String::as_str).collect();
            assert!(
                extra.iter().all(|name| ["key", "password", "secret"].contains(name)),
                "{} {at}: {extra:?}",
                filter.name
            );
            assert!(names.is_subset(&known), "{} {at}: {names:?} and {known:?}", filter.name);
        }
    }
}

/// Giving a default in writing changes nothing.
#[test]
fn the_defaults_a_schema_tells_are_the_readers() {
    for filter in FILTERS {
        let schema = schema_of(&filter);
        let mut tried = 0;
        for (name, document) in kept(filter.name) {
            let as_it_is = (filter.read)(document.to_string().as_bytes()).expect("it is right");
            let mut objects = Vec::new();
            places::walk(&document, String::new(), &mut |at, value| {
                objects.extend(value.as_object().map(|fields| (at.to_owned(), fields.clone())));
            });
            for (at, fields) in objects {
                // A rule inherits what it does not say: its defaults are not those of the schema.
                if at.starts_with("/rules/") && at.contains("/config") {
                    continue;
                }
                for described in places::describing(&schema, &at) {
                    let properties =
                        schema.pointer(&described).and_then(|value| value.get("properties")).cloned();
                    for (field, property) in
                        properties.as_ref().and_then(Value::as_object).into_iter().flatten()
                    {
                        let Some(default) = property.get("default").filter(|_| !fields.contains_key(field))
                        else {
                            continue;
                        };
                        let mut told = document.clone();
                        told.pointer_mut(&at).expect("a place")[field] = default.clone();
                        let read = (filter.read)(told.to_string().as_bytes());
                        assert_eq!(shown(&read.expect("a default")), shown(&as_it_is), "{name} {at}/{field}");
                        tried += 1;
                    }
                }
            }
        }
        assert!(tried > 3, "{}: {tried}", filter.name);
    }
}

/// Without the document as it was written, which an envelope keeps for overrides.
fn shown(config: &str) -> String {
    match (config.find(", base: "), config.find(", overrides: ")) {
        (Some(start), Some(end)) => format!("{}{}", &config[..start], &config[end..]),
        _ => config.to_owned(),
    }
}
