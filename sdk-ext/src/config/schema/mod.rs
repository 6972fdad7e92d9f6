//! What a configuration may hold, as JSON Schema (draft 2020-12). Native only: none of it is ever in a module.
//!
//! A filter describes its fields with `#[derive(JsonSchema)]`, on what serde reads or on a type of the same fields beside its
//! reader, and takes [`EnvelopeSchema`] of it for the whole. Doc comments become descriptions. What a schema cannot say, such
//! as `min` below `max`, is left to the reader: a schema refuses nothing that the reader takes.
//!
//! ```
//! use wayside_sdk::config::schema::{self, EnvelopeSchema, JsonSchema};
//!
//! #[derive(JsonSchema)]
//! #[schemars(crate = "wayside_sdk::config::schema::schemars", deny_unknown_fields)]
//! struct Config {
//!     /// Who is served.
//!     tenant: String,
//! }
//!
//! let text = schema::text::<EnvelopeSchema<Config>>("tenant");
//! assert!(text.contains("Who is served."));
//! ```

mod rules;

pub use rules::RuleSchema;
pub use schemars::{self, JsonSchema};
pub use serde;

use super::Mode;
use crate::policy::Trust;
use crate::units::{ByteSize, DurationText, Percent, ProtoDuration, Ratio};
use schemars::{Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use serde_json::Value;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// The schema of a filter's whole configuration.
#[must_use]
pub fn of<T: JsonSchema>(filter: &str) -> Schema {
    let mut schema = SchemaGenerator::default().into_root_schema_for::<T>();
    schema.insert("title".to_owned(), format!("Configuration of {filter}").into());
    schema
}

/// The same as a document, with a line break at its end. Names are sorted, whatever serde_json is built with.
#[must_use]
pub fn text<T: JsonSchema>(filter: &str) -> String {
    format!("{:#}\n", sorted(of::<T>(filter).to_value()))
}

fn sorted(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.into_iter().map(|(name, value)| (name, sorted(value))).collect();
            fields.sort_by(|one, other| one.0.cmp(&other.0));
            Value::Object(fields.into_iter().collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        other => other,
    }
}

/// What [`Envelope`](super::Envelope) reads.
#[derive(JsonSchema)]
#[schemars(inline, deny_unknown_fields)]
#[expect(dead_code, reason = "described, never made")]
pub struct EnvelopeSchema<C> {
    /// Of the configuration's form; a module says which it reads.
    version: Version1,
    /// What the filter does with its decisions.
    #[schemars(default)]
    mode: Mode,
    /// What holds where no rule says otherwise.
    #[schemars(default = "nothing")]
    defaults: Option<C>,
    /// The first that matches holds. What it does not say is as in `defaults`.
    #[schemars(default = "no_rules", length(max = 1000))]
    rules: Vec<RuleSchema<C>>,
    /// Where routes keep configurations of their own: `filter_metadata[namespace][filter]`.
    #[schemars(default = "namespace", length(min = 1, max = 256))]
    route_metadata_namespace: String,
    /// How metrics are named and bounded.
    #[schemars(default)]
    metrics: MetricsSchema,
}

impl<C> std::fmt::Debug for EnvelopeSchema<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EnvelopeSchema")
    }
}

fn nothing() -> BTreeMap<String, ()> {
    BTreeMap::new()
}

fn no_rules() -> [(); 0] {
    []
}

fn namespace() -> &'static str {
    "l7.filters"
}

/// The number 1.
#[derive(Clone, Copy, Debug)]
pub struct Version1;

impl JsonSchema for Version1 {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Version".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "const": 1 })
    }
}

#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "Metrics", deny_unknown_fields, default)]
struct MetricsSchema {
    /// Before every metric's name, without the `_` that follows it.
    #[schemars(regex(pattern = "^[a-z0-9_]{1,32}$"))]
    prefix: String,
    /// What series are told apart by.
    #[schemars(length(max = 1))]
    labels: Vec<MetricsLabel>,
    /// Series of all families together.
    #[schemars(range(min = 1, max = 100_000))]
    max_series: u64,
}

#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename_all = "snake_case", inline)]
#[serde(rename_all = "snake_case")]
enum MetricsLabel {
    Rule,
}

impl Default for MetricsSchema {
    fn default() -> MetricsSchema {
        MetricsSchema { prefix: "l7".to_owned(), labels: vec![MetricsLabel::Rule], max_series: 1000 }
    }
}

/// A schema written by hand for a type that is read by hand.
macro_rules! described {
    ($($type:ty, $name:literal: $schema:tt;)*) => {$(
        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    )*};
}

described! {
    DurationText, "Duration": {
        "type": "string",
        "pattern": "^([0-9]{1,5}(h|m|s|ms)){1,4}$",
        "description": "As Gateway API writes it (GEP-2257): one to four of 1h, 2m, 3s, 4ms in a row"
    };
    ProtoDuration, "ProtobufDuration": {
        "type": "string",
        "pattern": "^[0-9]{1,12}(\\.[0-9]{1,9})?s$",
        "description": "As Envoy writes it (protobuf's JSON form): seconds with at most nine places, 1.5s"
    };
    Ratio, "Ratio": {
        "type": "number",
        "minimum": 0,
        "maximum": 429_496.729_5,
        "description": "A decimal with at most four places"
    };
    Percent, "Percent": {
        "type": "number",
        "minimum": 0,
        "maximum": 100,
        "description": "Of a hundred, with at most two places"
    };
    ByteSize, "ByteSize": {
        "anyOf": [
            { "type": "integer", "minimum": 0, "maximum": u64::MAX },
            { "type": "string", "pattern": "^[0-9]{1,20}(Ki|Mi|Gi|Ti|k|M|G|T)?$" }
        ],
        "description": "Bytes, as a number or with a unit as Kubernetes writes it: 64Ki is 65536, 64k is 64000"
    };
    Mode, "Mode": {
        "oneOf": [
            { "const": "enforce", "description": "Acts." },
            { "const": "shadow", "description": "Decides and counts, changes nothing." },
            { "const": "off", "description": "Does nothing." }
        ]
    };
    Trust, "Trust": {
        "oneOf": [
            { "const": "internal", "description": "Requests that Envoy marked `x-envoy-internal: true`." },
            { "const": "always", "description": "Everybody." },
            { "const": "never", "description": "Nobody." }
        ],
        "description": "Whose control headers count"
    };
}

/// As they are written in a configuration, for the defaults that a schema tells.
macro_rules! written_as {
    ($($type:ty => $text:expr;)*) => {$(
        impl Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let written: fn(&$type) -> _ = $text;
                written(self).serialize(serializer)
            }
        }
    )*};
}

written_as! {
    DurationText => |duration| duration.to_string();
    ProtoDuration => |duration| duration.to_string();
    Ratio => |ratio| f64::from(ratio.numerator()) / f64::from(Ratio::DENOMINATOR);
    Percent => |percent| f64::from(percent.share().numerator()) / 100.0;
    ByteSize => |size| size.0;
    Mode => |mode| match mode {
        Mode::Enforce => "enforce",
        Mode::Shadow => "shadow",
        Mode::Off => "off",
    };
    Trust => |trust| match trust {
        Trust::Internal => "internal",
        Trust::Always => "always",
        Trust::Never => "never",
    };
}
