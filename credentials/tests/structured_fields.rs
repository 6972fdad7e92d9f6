//! AU-8: structured fields as the public corpus has them (httpwg/structured-field-tests). The corpus is not part of this repository: the folder
//! with its `*.json` is named by `WAYSIDE_STRUCTURED_FIELD_TESTS`, and without it the case says that it is skipped.

use std::path::Path;

use serde_json::Value;
use wayside_credentials::messages::fields::{Bare, Dictionary, Item, List, Member, Parameters};

/// What a field was read as, in the corpus's own form.
enum Field<'a> {
    Item(Item<'a>),
    List(List<'a>),
    Dictionary(Dictionary<'a>),
}

impl<'a> Field<'a> {
    fn read(kind: &str, text: &'a [u8]) -> Option<Self> {
        match kind {
            "item" => Item::parse(text).ok().map(Field::Item),
            "list" => List::parse(text).ok().map(Field::List),
            "dictionary" => Dictionary::parse(text).ok().map(Field::Dictionary),
            _ => panic!("a field of type {kind}"),
        }
    }

    fn written(&self) -> String {
        let mut text = String::new();
        match self {
            Self::Item(item) => item.write(&mut text),
            Self::List(list) => list.write(&mut text),
            Self::Dictionary(dictionary) => dictionary.write(&mut text),
        }
        text
    }

    fn told(&self) -> Value {
        match self {
            Self::Item(told) => item(told),
            Self::List(list) => list.members.iter().map(member).collect(),
            Self::Dictionary(dictionary) => dictionary
                .iter()
                .map(|(key, value)| Value::from(vec![Value::from(key), member(value)]))
                .collect(),
        }
    }
}

fn member(member: &Member<'_>) -> Value {
    match member {
        Member::Item(told) => item(told),
        Member::InnerList(list) => {
            Value::from(vec![list.items.iter().map(item).collect(), parameters(&list.parameters)])
        }
    }
}

fn item(item: &Item<'_>) -> Value {
    Value::from(vec![bare(&item.bare), parameters(&item.parameters)])
}

fn parameters(parameters: &Parameters<'_>) -> Value {
    parameters.iter().map(|(key, value)| Value::from(vec![Value::from(key), bare(value)])).collect()
}

fn bare(value: &Bare<'_>) -> Value {
    let typed = |kind: &str, value: Value| serde_json::json!({ "__type": kind, "value": value });
    match value {
        Bare::Decimal(number) => f64::from(*number).into(),
        Bare::Integer(number) => i64::from(*number).into(),
        Bare::String(text) => text.as_str().into(),
        Bare::ByteSequence(bytes) => typed("binary", base32(bytes).into()),
        Bare::Boolean(set) => (*set).into(),
        Bare::Token(token) => typed("token", token.as_str().into()),
        Bare::Date(date) => typed("date", i64::from(date.unix_seconds()).into()),
        Bare::DisplayString(text) => typed("displaystring", text.as_ref().into()),
    }
}

/// RFC 4648, section 6.
fn base32(bytes: &[u8]) -> String {
    let mut text = String::new();
    for group in bytes.chunks(5) {
        let bits =
            group.iter().fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte)) << (8 * (5 - group.len()));
        for place in 0..8 {
            let digit = usize::try_from(bits >> (35 - 5 * place) & 31).unwrap();
            let filled = place * 5 < group.len() * 8;
            text.push(if filled { char::from(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[digit]) } else { '=' });
        }
    }
    text
}

/// What is wrong with how a case of the corpus was read, if anything is.
fn complaint(case: &Value) -> Option<String> {
    let lines = |field: &str| -> Option<String> {
        let lines = case[field].as_array()?;
        Some(lines.iter().map(|line| line.as_str().unwrap()).collect::<Vec<_>>().join(", "))
    };
    let (kind, raw) = (case["header_type"].as_str().unwrap(), lines("raw").unwrap());
    let field = Field::read(kind, raw.as_bytes());
    let must_fail = case["must_fail"] == true;
    match field {
        None if must_fail => None,
        None => Some("is not read".to_owned()),
        Some(field) if must_fail => Some(format!("is read as {}", field.told())),
        Some(field) if field.told() != case["expected"] => Some(format!("is read as {}", field.told())),
        Some(field) => {
            let canonical = lines("canonical").unwrap_or(raw.clone());
            (field.written() != canonical).then(|| format!("is written as {}", field.written()))
        }
    }
}

fn corpus(folder: &Path) -> Vec<(String, Value)> {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files.filter(|path| path.extension().is_some_and(|end| end == "json")).collect();
    files.sort();
    let cases = files.iter().flat_map(|path| {
        let cases: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let file = path.file_stem().unwrap().to_str().unwrap().to_owned();
        cases.into_iter().map(move |case| (format!("{file}: {}", case["name"]), case))
    });
    cases.collect()
}

#[test]
#[expect(clippy::print_stderr, reason = "a case that is skipped says so")]
fn au_8_the_public_corpus_of_structured_fields_is_read_as_it_says() {
    let Some(folder) = std::env::var_os("WAYSIDE_STRUCTURED_FIELD_TESTS") else {
        eprintln!(
            "skipped: WAYSIDE_STRUCTURED_FIELD_TESTS names no folder with httpwg/structured-field-tests"
        );
        return;
    };
    let cases = corpus(Path::new(&folder));
    assert!(cases.len() >= 1591, "{} cases", cases.len());
    let complaints: Vec<_> = cases
        .iter()
        .filter_map(|(name, case)| Some((name, complaint(case)?, case["can_fail"] == true)))
        .collect();
    let (lenient, wrong): (Vec<_>, Vec<_>) = complaints.into_iter().partition(|(_, _, can_fail)| *can_fail);
    eprintln!("{} cases; of those that may fail, do: {lenient:#?}", cases.len());
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn au_8_values_are_read_and_written_as_rfc_9651_shows() {
    for (kind, text, canonical) in [
        ("list", "sugar, tea,  rum", "sugar, tea, rum"),
        (
            "list",
            r#"("foo" "bar"), ("baz"),   ( "bat" "one" ), ()"#,
            r#"("foo" "bar"), ("baz"), ("bat" "one"), ()"#,
        ),
        (
            "list",
            r#"("foo"; a=1;b=2);lvl=5, ("bar" "baz");lvl=1"#,
            r#"("foo";a=1;b=2);lvl=5, ("bar" "baz");lvl=1"#,
        ),
        ("dictionary", r#"en="Applepie", da=:w4ZibGV0w6ZydGU=:"#, r#"en="Applepie", da=:w4ZibGV0w6ZydGU=:"#),
        ("dictionary", "a=?0, b, c; foo=bar", "a=?0, b, c;foo=bar"),
        ("dictionary", "a=1, b=2, a=(3)", "a=(3), b=2"),
        ("item", "4.50", "4.5"),
        ("item", "@1659578233", "@1659578233"),
        ("item", "%\"f%c3%bc\"", "%\"f%c3%bc\""),
    ] {
        assert_eq!(Field::read(kind, text.as_bytes()).unwrap().written(), canonical);
    }
    for (kind, text) in [
        ("list", "a,"),
        ("list", "a b"),
        ("dictionary", "A=1"),
        ("item", "\"\u{fc}\""),
        ("item", ""),
        ("item", "1 2"),
    ] {
        assert!(Field::read(kind, text.as_bytes()).is_none(), "{text}");
    }
}

#[test]
fn more_members_than_rfc_9651_demands_of_a_reader_are_refused() {
    let keys = |count: usize| (0..count).map(|key| format!("a{key}")).collect::<Vec<_>>();
    assert!(Dictionary::parse(keys(1024).join(",").as_bytes()).is_ok());
    assert!(Dictionary::parse(keys(1025).join(",").as_bytes()).is_err());
    assert!(List::parse(keys(1025).join(",").as_bytes()).is_err());
    assert!(Item::parse(format!("1;{}", keys(256).join(";")).as_bytes()).is_ok());
    assert!(Item::parse(format!("1;{}", keys(257).join(";")).as_bytes()).is_err());
    assert!(List::parse(format!("({})", keys(257).join(" ")).as_bytes()).is_err());
}

#[test]
fn a_key_that_occurs_twice_is_told_wherever_it_stands() {
    for (text, twice) in [
        ("a=1, b=2", false),
        ("a=1, a=1", true),
        ("a=1;x;x", true),
        ("a=(1;x;y)", false),
        ("a=(1;x;x)", true),
        ("a=(1);x;x", true),
    ] {
        assert_eq!(Dictionary::parse(text.as_bytes()).unwrap().is_repetitive(), twice, "{text}");
    }
}
