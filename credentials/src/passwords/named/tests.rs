//! Names and secrets in, holders out; what is kept of slow hashes.

use std::time::Duration;

use super::*;
use crate::passwords::{Recipe, Salt, make};

fn at(seconds: u64) -> Timestamp {
    Timestamp(Duration::from_secs(seconds))
}

fn salted(salt: u8, password: &str) -> Stored {
    Stored::Salted { salt: Salt([salt; 16]), digest: Digest::of(&[&[salt; 16], password.as_bytes()]) }
}

fn slow(password: &str) -> Stored {
    let entry = make(&Recipe::Bcrypt { cost: 4 }, password.as_bytes(), [5; 16]).unwrap();
    Stored::bcrypt(entry.split('"').nth(3).unwrap()).unwrap()
}

type Verdict = (Result<&'static str, Rejection>, Option<bool>);

fn verify(store: &NamedStore<&'static str>, name: &str, secret: &str, now: u64) -> Verdict {
    let found = store.verify(name.as_bytes(), secret.as_bytes(), None, at(now));
    (found.holder.copied(), found.kept)
}

#[test]
fn a_password_opens_for_its_user_only() {
    let mut store = NamedStore::default();
    store.insert("ann", salted(1, "p1"), "ann", Period::default()).unwrap();
    store.insert("ben", salted(2, "p2"), "ben", Period::default()).unwrap();
    assert!(store.contains("ann") && !store.contains("Ann"));
    assert_eq!(verify(&store, "ann", "p1", 0), (Ok("ann"), None));
    for (name, password) in [
        ("ann", "p2"),
        ("ben", "p1"),
        ("Ann", "p1"),
        ("", ""),
        ("x", "p1"),
        ("x", "p2"),
        ("y", "p1"),
        ("y", "p2"),
    ] {
        assert_eq!(verify(&store, name, password, 0), (Err(Rejection::Unknown), None), "{name}");
    }
}

#[test]
fn nobody_is_known_to_a_store_without_users() {
    assert_eq!(verify(&NamedStore::default(), "ann", "p1", 0), (Err(Rejection::Unknown), None));
}

#[test]
fn an_empty_secret_is_nobodys_whatever_is_stored() {
    let mut store = NamedStore::default();
    store.insert("ann", salted(1, ""), "ann", Period::default()).unwrap();
    assert_eq!(verify(&store, "ann", "", 0).0, Err(Rejection::Unknown));
}

#[test]
fn several_secrets_of_one_name_count_each_in_its_own_time() {
    let mut store = NamedStore::default();
    let until = Period { not_before: None, not_after: Some(at(100)) };
    store.insert("ann", salted(1, "old"), "ann", until).unwrap();
    store.insert("ann", salted(2, "new"), "ann", Period::default()).unwrap();
    assert_eq!(verify(&store, "ann", "old", 99).0, Ok("ann"));
    assert_eq!(verify(&store, "ann", "old", 100).0, Err(Rejection::Expired));
    assert_eq!(verify(&store, "ann", "new", 100).0, Ok("ann"));
    for _ in 2..MOST_OF_ONE_NAME {
        store.insert("ann", salted(3, "x"), "ann", Period::default()).unwrap();
    }
    assert_eq!(store.insert("ann", salted(3, "x"), "ann", Period::default()), Err(NotStored));
}

#[test]
fn what_a_slow_hash_found_is_kept_for_who_shows_the_same_again() {
    let mut store = NamedStore::default();
    let until = Period { not_before: None, not_after: Some(at(1100)) };
    store.insert("ann", slow("p1"), "ann", until).unwrap();
    assert!(store.is_slow());
    assert_eq!(verify(&store, "ann", "p1", 1000), (Ok("ann"), Some(false)));
    assert_eq!(
        verify(&store, "ann", "p1", 1000),
        (Ok("ann"), Some(false)),
        "nothing is kept before it may be"
    );
    store.keep(Verdicts::new(&[1; 32]));
    let wrong = Err(Rejection::Unknown);
    for (name, password, now, expected) in [
        ("ann", "p1", 1000, (Ok("ann"), Some(false))),
        ("ann", "p1", 1001, (Ok("ann"), Some(true))),
        ("ann", "p2", 1001, (wrong, Some(false))),
        ("ann", "p2", 1002, (wrong, Some(true))),
        ("zoe", "p1", 1002, (wrong, Some(false))),
        ("zoe", "p1", 1003, (wrong, Some(true))),
        ("ann", "p1", 1100, (Err(Rejection::Expired), Some(true))),
        ("ann", "p1", 1300, (Err(Rejection::Expired), Some(false))),
    ] {
        assert_eq!(verify(&store, name, password, now), expected, "{name} {password} {now}");
    }
}
