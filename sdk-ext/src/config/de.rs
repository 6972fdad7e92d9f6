//! serde's view of a [`Json`] tree, stricter than serde_json's in what a struct may be written as, and with the place
//! of every error.

use super::checks::ConfigErrors;
use super::quoted::Quoted;
use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, Expected, IntoDeserializer, MapAccess, SeqAccess,
    Unexpected, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;
use std::fmt;
use wayside_json::{Json, child};

/// What serde refused, and the way down to it. Boxed: it is in the result of every function that reads.
#[derive(Debug)]
pub(crate) struct Refusal(Box<Refused>);

#[derive(Debug)]
struct Refused {
    /// Innermost first.
    steps: Vec<String>,
    message: String,
    /// The same without the value, where `message` holds one.
    discreet: Option<String>,
    /// The place of the field that a struct lacks, until its name is known.
    lacking: Option<usize>,
}

impl Refusal {
    pub(crate) fn at(self, pointer: &str) -> ConfigErrors {
        let refused = *self.0;
        let pointer =
            refused.steps.iter().rev().fold(pointer.to_owned(), |pointer, step| child(&pointer, step));
        let mut errors = ConfigErrors::default();
        errors.push_told(pointer, &refused.message, refused.discreet);
        errors
    }

    #[cold]
    #[inline(never)]
    pub(crate) fn below(mut self, step: &str) -> Refusal {
        self.0.steps.push(step.to_owned());
        self
    }

    /// Of the field that was being read; or of one that is missing, which has a place in its struct when serde finds that
    /// out, and whose name is known to the struct.
    #[cold]
    #[inline(never)]
    fn in_struct(self, now: Option<&str>, fields: &'static [&'static str]) -> Refusal {
        if let Some(name) = now {
            return self.below(name);
        }
        let name = self.0.lacking.filter(|_| self.0.steps.is_empty()).and_then(|place| fields.get(place));
        match name {
            Some(name) => de::Error::missing_field(name),
            None => self,
        }
    }

    #[cold]
    #[inline(never)]
    fn below_index(self, index: usize) -> Refusal {
        self.below(&index.to_string())
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for Refusal {}

pub(crate) fn listed(names: &[&str]) -> String {
    let mut text = String::new();
    for name in names {
        for piece in [if text.is_empty() { "`" } else { ", `" }, name, "`"] {
            text.push_str(piece);
        }
    }
    if text.is_empty() { "none here".to_owned() } else { text }
}

/// serde's own wording, but for `f64`: core's formatting of those is 20 KB of a module.
struct Found<'a>(Unexpected<'a>);

impl fmt::Display for Found<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Unexpected::Bool(value) => write!(f, "boolean `{value}`"),
            Unexpected::Unsigned(value) => write!(f, "integer `{value}`"),
            Unexpected::Signed(value) => {
                write!(f, "integer `{}{}`", if value < 0 { "-" } else { "" }, value.unsigned_abs())
            }
            Unexpected::Float(value) => write!(f, "number `{}`", Decimal(value)),
            Unexpected::Str(text) => write!(f, "string {}", Quoted(text)),
            Unexpected::Other(what) => f.write_str(what),
            _ => f.write_str("another type"),
        }
    }
}

/// Nine places, rounded; what is too large or too small for that is named by its size.
struct Decimal(f64);

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const PLACES: u64 = 1_000_000_000;
        let sign = if self.0 < 0.0 { "-" } else { "" };
        let size = self.0.abs();
        if size >= 1e9 {
            return write!(f, "{sign}1e9 or beyond");
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 1e18")]
        let scaled = (size * 1e9).round() as u64;
        if scaled == 0 && size > 0.0 {
            return write!(f, "{sign}1e-9 or closer to 0");
        }
        let text = format!("{}.{:09}", scaled / PLACES, scaled % PLACES);
        write!(f, "{sign}{}", text.trim_end_matches('0').trim_end_matches('.'))
    }
}

/// Not generic, so that it is in a module once.
#[cold]
#[inline(never)]
fn refusal(message: fmt::Arguments<'_>) -> Refusal {
    let message = message.to_string();
    Refusal(Box::new(Refused { steps: Vec::new(), message, discreet: None, lacking: None }))
}

#[cold]
#[inline(never)]
fn misfit(found: Unexpected<'_>, expected: &dyn Expected) -> Refusal {
    let kind = match found {
        Unexpected::Bool(_) => "a boolean",
        Unexpected::Unsigned(_) | Unexpected::Signed(_) | Unexpected::Float(_) => "a number",
        Unexpected::Str(_) => "a string",
        Unexpected::Other(what) => what,
        _ => "another type",
    };
    let mut refusal = refusal(format_args!("expected {expected}, found {}", Found(found)));
    refusal.0.discreet = Some(format!("expected {expected}, found {kind} (not shown)"));
    refusal
}

impl de::Error for Refusal {
    fn custom<T: fmt::Display>(message: T) -> Refusal {
        refusal(format_args!("{message}"))
    }

    #[cold]
    #[inline(never)]
    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Refusal {
        misfit(found, expected)
    }

    #[cold]
    #[inline(never)]
    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Refusal {
        misfit(found, expected)
    }

    #[cold]
    #[inline(never)]
    fn invalid_length(found: usize, expected: &dyn Expected) -> Refusal {
        let mut refusal = refusal(format_args!("expected {expected}, found {found} elements"));
        refusal.0.lacking = Some(found);
        refusal
    }

    #[cold]
    #[inline(never)]
    fn unknown_variant(found: &str, expected: &'static [&'static str]) -> Refusal {
        let expected = listed(expected);
        let mut refusal = refusal(format_args!("expected one of {expected}, found `{found}`"));
        refusal.0.discreet = Some(format!("expected one of {expected}, found another name (not shown)"));
        refusal
    }

    #[cold]
    #[inline(never)]
    fn unknown_field(found: &str, expected: &'static [&'static str]) -> Refusal {
        refusal(format_args!("unknown field `{found}`, expected one of {}", listed(expected))).below(found)
    }

    #[cold]
    #[inline(never)]
    fn missing_field(name: &'static str) -> Refusal {
        refusal(format_args!("expected a field `{name}`, found none"))
    }

    #[cold]
    #[inline(never)]
    fn duplicate_field(name: &'static str) -> Refusal {
        refusal(format_args!("expected one `{name}`, found a second")).below(name)
    }
}

pub(super) struct Reader<'a>(pub(super) &'a Json);

impl Reader<'_> {
    #[inline(never)]
    fn found(&self) -> Unexpected<'_> {
        match self.0 {
            Json::Null => Unexpected::Other("null"),
            Json::Bool(value) => Unexpected::Bool(*value),
            Json::Unsigned(value) => Unexpected::Unsigned(*value),
            Json::Negative(value) => Unexpected::Signed(*value),
            Json::Float(value) => Unexpected::Float(*value),
            Json::Text(value) => Unexpected::Str(value),
            Json::List(_) => Unexpected::Other("a list"),
            Json::Object(_) => Unexpected::Other("an object"),
        }
    }
}

/// What a type asks for by name is given or refused here: each `deserialize_any` would put every other form into the module.
impl<'de> Deserializer<'de> for Reader<'de> {
    type Error = Refusal;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        match self.0 {
            Json::Null => visitor.visit_unit(),
            Json::Bool(value) => visitor.visit_bool(*value),
            Json::Unsigned(value) => visitor.visit_u64(*value),
            Json::Negative(value) => visitor.visit_i64(*value),
            Json::Float(value) => visitor.visit_f64(*value),
            Json::Text(value) => visitor.visit_borrowed_str(value),
            Json::List(items) => visitor.visit_seq(Items { rest: items.iter(), index: 0 }),
            Json::Object(fields) => visitor.visit_map(Fields { rest: fields.iter(), value: None }),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        match self.0 {
            Json::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        match self.0 {
            Json::Bool(value) => visitor.visit_bool(*value),
            _ => Err(misfit(self.found(), &visitor)),
        }
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        match self.0 {
            Json::Unsigned(value) => visitor.visit_u64(*value),
            _ => Err(misfit(self.found(), &visitor)),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        match self.0 {
            Json::Text(value) => visitor.visit_borrowed_str(value),
            _ => Err(misfit(self.found(), &visitor)),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        self.deserialize_str(visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        match self.0 {
            Json::List(items) => visitor.visit_seq(Items { rest: items.iter(), index: 0 }),
            _ => Err(misfit(self.found(), &visitor)),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        match self.0 {
            Json::Object(fields) => visitor.visit_map(Fields { rest: fields.iter(), value: None }),
            _ => Err(misfit(self.found(), &visitor)),
        }
    }

    /// The fields are handed over in the order of the source code: what serde makes for that is half the code of what it makes
    /// to be handed names. An `Option` that may be missing needs its `#[serde(default)]` for it, and there are no aliases.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        let Json::Object(given) = self.0 else {
            return Err(misfit(self.found(), &"an object"));
        };
        all_known(given, fields)?;
        let mut rest = InOrder { given, fields: fields.iter(), now: None };
        let read = visitor.visit_seq(&mut rest);
        read.map_err(|error| error.in_struct(rest.now, fields))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        visitor.visit_enum(Variant::of(self.0)?)
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u32 u128 f32 f64 char bytes byte_buf unit unit_struct tuple tuple_struct identifier
        ignored_any
    }
}

/// An object read field by field, without serde: what every filter's configuration has is in every module.
#[derive(Clone, Copy)]
pub(crate) struct Struct<'a>(&'a [(String, Json)]);

impl<'a> Struct<'a> {
    pub(crate) fn of(json: &'a Json, fields: &'static [&'static str]) -> Result<Struct<'a>, Refusal> {
        let Json::Object(given) = json else {
            return Err(misfit(Reader(json).found(), &"an object"));
        };
        all_known(given, fields)?;
        Ok(Struct(given))
    }

    /// A field that is there and is not `null`.
    #[inline(never)]
    pub(crate) fn given(self, name: &str) -> Option<&'a Json> {
        self.get(name).filter(|value| **value != Json::Null)
    }

    #[inline(never)]
    pub(crate) fn get(self, name: &str) -> Option<&'a Json> {
        self.0.iter().find(|(given, _)| given == name).map(|(_, value)| value)
    }

    #[inline(never)]
    pub(crate) fn number(self, name: &str) -> Result<Option<u64>, Refusal> {
        self.one(name, |json| match json {
            Json::Unsigned(value) => Ok(*value),
            _ => Err(misfit(Reader(json).found(), &"u64")),
        })
    }

    #[inline(never)]
    pub(crate) fn text(self, name: &str) -> Result<Option<String>, Refusal> {
        self.one(name, text)
    }

    #[inline(never)]
    pub(crate) fn texts(self, name: &str) -> Result<Option<Vec<String>>, Refusal> {
        self.list(name, text)
    }

    /// One of these names; its place.
    #[inline(never)]
    pub(crate) fn choice(self, name: &str, names: &'static [&'static str]) -> Result<Option<usize>, Refusal> {
        self.one(name, |json| {
            let text = text(json)?;
            let place = names.iter().position(|known| *known == text);
            place.ok_or_else(|| de::Error::unknown_variant(&text, names))
        })
    }

    pub(crate) fn list<T>(
        self,
        name: &str,
        read: fn(&Json) -> Result<T, Refusal>,
    ) -> Result<Option<Vec<T>>, Refusal> {
        let mut list = Vec::new();
        let given = self.each(name, &mut |item| {
            list.push(read(item)?);
            Ok(())
        })?;
        Ok(given.then_some(list))
    }

    /// Not generic, so that it is in a module once. Whether the list is there.
    #[inline(never)]
    fn each(self, name: &str, take: &mut dyn FnMut(&Json) -> Result<(), Refusal>) -> Result<bool, Refusal> {
        let read = self.one(name, |json| {
            let Json::List(items) = json else {
                return Err(misfit(Reader(json).found(), &"a sequence"));
            };
            items
                .iter()
                .enumerate()
                .try_for_each(|(index, item)| take(item).map_err(|error| error.below_index(index)))
        })?;
        Ok(read.is_some())
    }

    pub(crate) fn one<T>(
        self,
        name: &str,
        read: impl FnOnce(&Json) -> Result<T, Refusal>,
    ) -> Result<Option<T>, Refusal> {
        self.get(name).map(|json| read(json).map_err(|error| error.below(name))).transpose()
    }
}

#[inline(never)]
pub(crate) fn text(json: &Json) -> Result<String, Refusal> {
    match json {
        Json::Text(text) => Ok(text.clone()),
        _ => Err(misfit(Reader(json).found(), &"a string")),
    }
}

pub(crate) fn boolean(json: &Json) -> Result<bool, Refusal> {
    match json {
        Json::Bool(value) => Ok(*value),
        _ => Err(misfit(Reader(json).found(), &"a boolean")),
    }
}

/// The only key of an object, and its value: how an enum with data is written.
#[inline(never)]
pub(crate) fn variant<'a>(
    json: &'a Json,
    names: &'static [&'static str],
) -> Result<(usize, &'a Json), Refusal> {
    let Json::Object(fields) = json else {
        return Err(misfit(Reader(json).found(), &"an object with one key"));
    };
    let [(name, value)] = fields.as_slice() else {
        return Err(refusal(format_args!(
            "expected an object with one key, found {} elements",
            fields.len()
        )));
    };
    let place = names.iter().position(|known| known == name);
    place.map(|place| (place, value)).ok_or_else(|| de::Error::unknown_variant(name, names))
}

#[inline(never)]
fn all_known(given: &[(String, Json)], fields: &'static [&'static str]) -> Result<(), Refusal> {
    match given.iter().find(|(name, _)| !fields.contains(&name.as_str())) {
        Some((name, _)) => Err(de::Error::unknown_field(name, fields)),
        None => Ok(()),
    }
}

/// The fields of a struct, each there or not.
struct InOrder<'a> {
    given: &'a [(String, Json)],
    fields: std::slice::Iter<'static, &'static str>,
    /// The field that is being read.
    now: Option<&'static str>,
}

impl<'a> InOrder<'a> {
    #[inline(never)]
    fn next(&mut self) -> Option<&'a Json> {
        let name = *self.fields.next()?;
        let (_, value) = self.given.iter().find(|(given, _)| given == name)?;
        self.now = Some(name);
        Some(value)
    }
}

impl<'de> SeqAccess<'de> for &mut InOrder<'de> {
    type Error = Refusal;

    /// `None` for a field that is not there, and yet not the end.
    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Refusal> {
        let Some(value) = self.next() else { return Ok(None) };
        let value = seed.deserialize(Reader(value))?;
        self.now = None;
        Ok(Some(value))
    }
}

struct Items<'a> {
    rest: std::slice::Iter<'a, Json>,
    index: usize,
}

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = Refusal;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Refusal> {
        let Some(item) = self.rest.next() else {
            return Ok(None);
        };
        let index = self.index;
        self.index = index.saturating_add(1);
        seed.deserialize(Reader(item)).map(Some).map_err(|error| error.below_index(index))
    }
}

struct Fields<'a> {
    rest: std::slice::Iter<'a, (String, Json)>,
    value: Option<&'a (String, Json)>,
}

impl<'de> MapAccess<'de> for Fields<'de> {
    type Error = Refusal;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Refusal> {
        self.value = self.rest.next();
        let Some((key, _)) = self.value else {
            return Ok(None);
        };
        let key: de::value::StrDeserializer<'_, Refusal> = key.as_str().into_deserializer();
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Refusal> {
        let (key, value) =
            self.value.take().ok_or_else(|| de::Error::custom("a value was read before its key"))?;
        seed.deserialize(Reader(value)).map_err(|error| error.below(key))
    }
}

/// A variant by its name, or by an object with its name for the only key.
struct Variant<'a> {
    name: &'a str,
    value: Option<&'a Json>,
}

impl<'a> Variant<'a> {
    #[inline(never)]
    fn of(json: &'a Json) -> Result<Variant<'a>, Refusal> {
        match json {
            Json::Text(name) => Ok(Variant { name, value: None }),
            Json::Object(fields) => match fields.as_slice() {
                [(name, value)] => Ok(Variant { name, value: Some(value) }),
                _ => Err(de::Error::invalid_length(fields.len(), &"an object with one key")),
            },
            _ => Err(misfit(Reader(json).found(), &"a name, or an object with one key")),
        }
    }

    fn value(&self, expected: &str) -> Result<Reader<'a>, Refusal> {
        self.value.map(Reader).ok_or_else(|| misfit(Unexpected::UnitVariant, &expected))
    }
}

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = Refusal;
    type Variant = Variant<'de>;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Variant<'de>), Refusal> {
        let name: de::value::StrDeserializer<'_, Refusal> = self.name.into_deserializer();
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'de> {
    type Error = Refusal;

    #[inline(never)]
    fn unit_variant(self) -> Result<(), Refusal> {
        match self.value {
            None => Ok(()),
            Some(value) => Err(misfit(Reader(value).found(), &"the name alone").below(self.name)),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Refusal> {
        let value = self.value("newtype variant")?;
        seed.deserialize(value).map_err(|error| error.below(self.name))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value, Refusal> {
        let value = self.value("tuple variant")?;
        value.deserialize_any(visitor).map_err(|error| error.below(self.name))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        let value = self.value("struct variant")?;
        value.deserialize_struct("", fields, visitor).map_err(|error| error.below(self.name))
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Configuration;
    use serde::Deserialize;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        #[serde(default)]
        inner: Option<Inner>,
        #[serde(default)]
        kinds: Vec<Kind>,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        limit: u32,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "snake_case")]
    enum Kind {
        Plain,
        Named(String),
        Full { size: u8 },
    }

    fn parse(text: &str) -> Result<Outer, String> {
        Outer::parse(text.as_bytes()).map_err(|errors| errors.to_string())
    }

    #[test]
    fn a_document_that_fits_is_read() {
        assert_eq!(
            parse(r#"{"inner": {"limit": 3}, "kinds": ["plain", {"named": "x"}, {"full": {"size": 1}}]}"#),
            Ok(Outer {
                inner: Some(Inner { limit: 3 }),
                kinds: vec![Kind::Plain, Kind::Named("x".into()), Kind::Full { size: 1 }]
            })
        );
    }

    #[test]
    fn each_refusal_names_its_place_what_was_expected_and_what_was_found() {
        for (text, message) in [
            (
                r#"{"inner": {"limit": 3, "mark": 1}}"#,
                "/inner/mark: unknown field `mark`, expected one of `limit`",
            ),
            (r#"{"other": 1}"#, "/other: unknown field `other`, expected one of `inner`, `kinds`"),
            (r#"{"inner": {"limit": "3"}}"#, "/inner/limit: expected u32, found string \"3\""),
            (r#"{"inner": {"limit": -1}}"#, "/inner/limit: expected u32, found integer `-1`"),
            (r#"{"inner": {}}"#, "/inner: expected a field `limit`, found none"),
            (r#"{"inner": [3]}"#, "/inner: expected an object, found a list"),
            (r#"[null, []]"#, "/: expected an object, found a list"),
            (
                r#"{"kinds": ["plain", "round"]}"#,
                "/kinds/1: expected one of `plain`, `named`, `full`, found `round`",
            ),
            (
                r#"{"kinds": [{"full": {"size": 256}}]}"#,
                "/kinds/0/full/size: expected u8, found integer `256`",
            ),
            (r#"{"kinds": [{"plain": 1}]}"#, "/kinds/0/plain: expected the name alone, found integer `1`"),
            (
                r#"{"kinds": [{"plain": 1, "named": 2}]}"#,
                "/kinds/0: expected an object with one key, found 2 elements",
            ),
        ] {
            assert_eq!(parse(text), Err(message.into()), "{text}");
        }
    }
}
