//! Every requirement with two providers, of which each finds one of six things.

use std::time::Duration;

use super::*;
use crate::kinds::{Examine, Kind, Proof};
use crate::means::NoProxy;
use crate::source::Source;
use crate::timestamp::Timestamp;

impl Examine for Finding {
    fn examine(&self, _: &View<'_>, _: &dyn Means) -> Finding {
        self.clone()
    }

    fn sources(&self) -> &[Source] {
        &[]
    }

    fn challenge(&self, realm: &str, refused: Option<Reason>) -> Option<String> {
        (*self != Finding::Awaits(Awaited::Keys))
            .then(|| format!("Test {realm} {}", refused.map_or("-", Reason::label)))
    }
}

fn provider(name: &str, finds: &str) -> Rc<Provider> {
    let holder = || Rc::new(Holder { name: format!("{name}'s"), scopes: Vec::new() });
    let once = Once { tag: [name.len().try_into().unwrap(); 32], until: Timestamp(Duration::ZERO) };
    let finding = match finds {
        "absent" => Finding::Absent,
        "valid" => holder().into(),
        "once" => Finding::Valid(Proof { holder: holder(), once: Some(once), claims: None }),
        "wrong" => Reason::UnknownCredential.into(),
        "flawed" => Reason::DuplicateCredential.into(),
        "broken" => Reason::Internal.into(),
        "keys" => Finding::Awaits(Awaited::Keys),
        "body" => Finding::Awaits(Awaited::Body { up_to: 7 }),
        other => panic!("{other}"),
    };
    Rc::new(Provider { name: name.to_owned(), kind: Kind::Told(finding), hide: false })
}

fn verdict(require: fn(Vec<Rc<Provider>>) -> Require, finds: [&str; 2]) -> String {
    let [a, b] = finds;
    let access = Access { require: require(vec![provider("a", a), provider("bb", b)]), authorize: None };
    let view = View { headers: &[], body: None, max_credential_bytes: 10, now: Timestamp(Duration::ZERO) };
    match access.admit(&view, &NoProxy, "r") {
        Ok(Grant { admission: Admission::Known { holder, .. }, once }) => {
            once.iter().fold(holder.name.clone(), |told, once| format!("{told} once {}", once.tag[0]))
        }
        Ok(Grant { admission, once }) => {
            assert_eq!(once, []);
            format!("{admission:?}")
        }
        Err(Halt::Awaits { provider, awaited }) => format!("{provider} awaits {awaited:?}"),
        Err(Halt::Denied(Denial { reason, provider, challenges })) => {
            let provider = provider.as_deref().unwrap_or("-");
            format!("{} {provider} {}", reason.label(), challenges.join(", ")).trim_end().to_owned()
        }
    }
}

#[test]
fn one_good_credential_is_enough_for_any_unless_another_can_be_read_in_two_ways() {
    for (finds, expected) in [
        (["absent", "valid"], "bb's"),
        (["wrong", "valid"], "bb's"),
        (["broken", "valid"], "bb's"),
        (["keys", "valid"], "bb's"),
        (["once", "once"], "a's once 1"),
        (["flawed", "valid"], "duplicate_credential a"),
        (["valid", "flawed"], "duplicate_credential bb"),
        (["keys", "flawed"], "duplicate_credential bb"),
        (["wrong", "body"], "bb awaits Body { up_to: 7 }"),
        (["absent", "keys"], "bb awaits Keys"),
        (["absent", "absent"], "missing - Test r -"),
        (["absent", "wrong"], "unknown_credential bb Test r -, Test r unknown_credential"),
        (["broken", "absent"], "internal a"),
    ] {
        assert_eq!(verdict(Require::Any, finds), expected, "{finds:?}");
    }
}

#[test]
fn all_waits_only_where_nothing_else_stands_against_the_request() {
    for (finds, expected) in [
        (["valid", "valid"], "a's"),
        (["once", "once"], "a's once 1 once 2"),
        (["valid", "absent"], "missing - Test r -"),
        (["keys", "absent"], "missing - Test r -"),
        (["body", "wrong"], "unknown_credential bb Test r -, Test r unknown_credential"),
        (["keys", "body"], "bb awaits Body { up_to: 7 }"),
        (["valid", "keys"], "bb awaits Keys"),
        (["valid", "broken"], "internal bb"),
        (["flawed", "wrong"], "duplicate_credential a"),
    ] {
        assert_eq!(verdict(Require::All, finds), expected, "{finds:?}");
    }
}

#[test]
fn optional_lets_in_who_shows_nothing_and_nobody_who_shows_something_bad() {
    for (finds, expected) in [
        (["absent", "absent"], "Anonymous"),
        (["absent", "once"], "bb's once 2"),
        (["valid", "wrong"], "unknown_credential bb Test r -, Test r unknown_credential"),
        (["absent", "flawed"], "duplicate_credential bb"),
        (["absent", "broken"], "internal bb"),
        (["valid", "keys"], "bb awaits Keys"),
    ] {
        assert_eq!(verdict(Require::Optional, finds), expected, "{finds:?}");
    }
}

#[test]
fn a_kind_without_a_challenge_has_none_in_the_answer() {
    let challenged = |second| {
        let access = Access {
            require: Require::All(vec![provider("a", "keys"), provider("bb", second)]),
            authorize: None,
        };
        let view =
            View { headers: &[], body: None, max_credential_bytes: 10, now: Timestamp(Duration::ZERO) };
        match access.admit(&view, &NoProxy, "r") {
            Err(Halt::Denied(denial)) => denial.challenges,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(challenged("wrong"), ["Test r unknown_credential"]);
}
