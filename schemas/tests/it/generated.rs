//! Any bytes as a configuration of each filter, for the fuzzer `config` and for `cargo test`.

use serde_json::Value;
use wayside_schemas::FILTERS;
use wayside_sdk::config::{self, Json};

/// The first byte chooses the filter, the rest is the document.
pub(crate) fn case(bytes: &[u8]) {
    let Some((first, text)) = bytes.split_first() else { return };
    let plain = serde_json::from_slice::<Value>(text);
    match config::document(text) {
        Ok(_) if text.trim_ascii().is_empty() => {}
        Ok(json) => {
            let Ok(plain) = plain else { panic!("{}: {}", text.escape_ascii(), plain.expect_err("refused")) };
            assert!(same(&json, &plain), "{json:?} and {plain}");
        }
        Err(errors) => {
            let message = errors.to_string();
            let stricter = ["expected one `", "more than", "at most", "found a second", "more is wrong"];
            assert!(plain.is_err() || stricter.iter().any(|words| message.contains(words)), "{message}");
        }
    }
    let Some(filter) = FILTERS.get(usize::from(*first) % FILTERS.len()) else { return };
    match (filter.read)(text) {
        Ok(config) => assert_eq!(Ok(config), (filter.read)(text)),
        Err(errors) => {
            let (count, shown) = (errors.iter().count(), errors.to_string());
            assert!((1..=21).contains(&count) && shown.len() < 21 * 2_000, "{count} errors");
            for error in errors.iter() {
                assert!(error.pointer.is_empty() || error.pointer.starts_with('/'), "{error}");
                assert!(!error.message.is_empty() && !error.message.contains("defect"), "{error}");
            }
        }
    }
}

/// serde_json's numbers are as they were written; ours are whole where their value is.
fn same(ours: &Json, plain: &Value) -> bool {
    match (ours, plain) {
        (Json::Null, Value::Null) => true,
        (Json::Bool(one), Value::Bool(other)) => one == other,
        (Json::Text(one), Value::String(other)) => one == other,
        #[expect(clippy::cast_precision_loss, reason = "compared with what was a double")]
        (Json::Unsigned(one), Value::Number(other)) => {
            other.as_u64() == Some(*one) || other.as_f64() == Some(*one as f64)
        }
        #[expect(clippy::cast_precision_loss, reason = "compared with what was a double")]
        (Json::Negative(one), Value::Number(other)) => {
            other.as_i64() == Some(*one) || other.as_f64() == Some(*one as f64)
        }
        (Json::Float(one), Value::Number(other)) => other.as_f64() == Some(*one),
        (Json::List(ours), Value::Array(plain)) => {
            ours.len() == plain.len() && ours.iter().zip(plain).all(|(one, other)| same(one, other))
        }
        (Json::Object(ours), Value::Object(plain)) => {
            ours.len() == plain.len()
                && ours.iter().all(|(name, one)| plain.get(name).is_some_and(|other| same(one, other)))
        }
        _ => false,
    }
}

#[cfg(test)]
mod corpus {
    use crate::documents::{files, kept, of_scenarios, root};
    use std::fs;
    use wayside_schemas::FILTERS;

    #[test]
    fn what_the_fuzzer_found_worth_keeping_holds() {
        let corpus = files(&root().join("fuzz/corpus/config"));
        assert!(corpus.len() > 10, "{}", corpus.len());
        corpus.iter().for_each(|path| super::case(&fs::read(path).expect("a file")));
    }

    #[test]
    fn every_configuration_cut_or_bent_anywhere_holds() {
        for (index, filter) in FILTERS.iter().enumerate() {
            for (_, document) in
                kept(filter.name).into_iter().chain(of_scenarios(filter.name).into_iter().take(3))
            {
                let mut bytes = vec![u8::try_from(index).expect("few")];
                bytes.extend(document.to_string().into_bytes());
                for end in (1..bytes.len()).step_by(7) {
                    super::case(&bytes[..end]);
                    for put in [b'"', b'{', b'}', b'9', b'\\', 0xFF] {
                        let mut bent = bytes.clone();
                        bent[end] = put;
                        super::case(&bent);
                    }
                }
            }
        }
    }
}
