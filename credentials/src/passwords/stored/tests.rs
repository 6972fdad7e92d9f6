//! Published vectors, and what must not be read.

use super::*;
use crate::passwords::{NotMade, Recipe, make};

/// From the test suite of jBCrypt (`djmdjm/jBCrypt`, TestBCrypt).
const BCRYPT: [(&str, &str); 4] = [
    ("", "$2a$06$DCq7YPn5Rq63x1Lad4cll.TV4S6ytwfsfvkgY8jIucDrjc8deX1s."),
    ("a", "$2a$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe"),
    ("abc", "$2a$06$If6bvum7DFjUnE9p2uDeDu0YHzrHM6tf.iqN8.yx.jNN1ILEf7h0i"),
    ("abcdefghijklmnopqrstuvwxyz", "$2a$06$.rCVZVOThsIa97pEDOxvGuRRgzG64bvtJ0938xuqzv18d3ZpQhstC"),
];

#[test]
fn published_bcrypt_hashes_match_their_password_and_no_other() {
    for (password, hash) in BCRYPT {
        for version in ["$2a$", "$2b$", "$2y$"] {
            let stored = Stored::bcrypt(&hash.replace("$2a$", version)).unwrap();
            assert!(stored.matches(password.as_bytes(), None), "{password} {version}");
            assert!(!stored.matches(b"b", None), "{password} {version}");
        }
    }
}

/// The first vector of the reference implementation's tests (`P-H-C/phc-winner-argon2`, test.c) for Argon2id version 19 within the bounds
/// here.
#[test]
fn a_published_argon2id_hash_matches_its_password_and_no_other() {
    let hash = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
    let stored = Stored::argon2id(hash).unwrap();
    assert!(stored.is_slow() && stored.matches(b"password", None));
    assert!(!stored.matches(b"Password", None));
}

#[test]
fn sha1_of_password_files_is_read() {
    // `htpasswd -nbs x password`
    let stored = Stored::sha1("{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=").unwrap();
    assert!(stored.matches(b"password", None) && !stored.matches(b"passwore", None));
}

#[test]
fn bcrypt_takes_no_password_of_which_it_would_not_read_the_end() {
    let all = [b'x'; 100];
    let entry = make(&Recipe::Bcrypt { cost: 4 }, &all[..72], [3; 16]).unwrap();
    let stored = Stored::bcrypt(entry.split('"').nth(3).unwrap()).unwrap();
    assert!(stored.matches(&all[..72], None));
    assert!(!stored.matches(&all[..73], None) && !stored.matches(&all[..71], None));
    assert_eq!(make(&Recipe::Bcrypt { cost: 4 }, &all[..73], [3; 16]), Err(NotMade::TooLong));
}

#[test]
fn what_was_made_is_read_and_matches() {
    let value = |entry: &str| entry.split('"').nth(3).unwrap().to_owned();
    let bcrypt = make(&Recipe::Bcrypt { cost: 4 }, b"s3cret", [9; 16]).unwrap();
    let argon2id = make(&Recipe::Argon2id { kib: 64, passes: 2, lanes: 2 }, b"s3cret", [9; 16]).unwrap();
    let sha1 = make(&Recipe::Sha1, b"s3cret", [9; 16]).unwrap();
    for stored in
        [Stored::bcrypt(&value(&bcrypt)), Stored::argon2id(&value(&argon2id)), Stored::sha1(&value(&sha1))]
    {
        let stored = stored.unwrap();
        assert!(stored.matches(b"s3cret", None) && !stored.matches(b"s3cres", None), "{stored:?}");
    }
    for recipe in [
        Recipe::Bcrypt { cost: 3 },
        Recipe::Bcrypt { cost: 13 },
        Recipe::Argon2id { kib: 65_537, passes: 1, lanes: 1 },
        Recipe::Argon2id { kib: 65_536, passes: 5, lanes: 1 },
        Recipe::Argon2id { kib: 8, passes: 1, lanes: 2 },
    ] {
        assert_eq!(make(&recipe, b"s3cret", [9; 16]), Err(NotMade::Costs), "{recipe:?}");
    }
    assert_eq!(make(&Recipe::Sha256, b"", [9; 16]), Err(NotMade::Empty));
}

#[test]
fn what_is_no_hash_or_costs_too_much_is_refused() {
    use Unreadable::{Cost, Form};
    let [_, (_, bcrypt), ..] = BCRYPT;
    for (text, why) in [
        (String::new(), Form),
        (bcrypt.replace("$2a$", "$2x$"), Form),
        (bcrypt.replace("$06$", "$6$"), Form),
        (bcrypt.replace("$06$", "$006$"), Form),
        (bcrypt.replace("$06$", "$+6$"), Form),
        (bcrypt.replace("$06$", "$03$"), Cost),
        (bcrypt.replace("$06$", "$13$"), Cost),
        (bcrypt.replace("$06$", "$31$"), Cost),
        (bcrypt[..59].to_owned(), Form),
        (format!("{bcrypt}e"), Form),
        (bcrypt.replace("m0C", "m0="), Form),
    ] {
        assert_eq!(Stored::bcrypt(&text).unwrap_err(), why, "{text}");
    }
    let argon2id = "$argon2id$v=19$m=64,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
    assert!(Stored::argon2id(argon2id).is_ok());
    for (from, to, why) in [
        ("argon2id", "argon2i", Form),
        ("argon2id", "argon2d", Form),
        ("v=19", "v=16", Form),
        ("m=64,t=2,p=1", "t=2,m=64,p=1", Form),
        ("p=1", "p=1,x=1", Form),
        ("m=64", "m=064", Form),
        ("m=64", "m=99999999999", Form),
        ("m=64", "m=65537", Cost),
        ("t=2", "t=0", Cost),
        ("t=2", "t=5000", Cost),
        ("p=1", "p=5", Cost),
        ("p=1", "p=0", Cost),
        ("m=64", "m=7", Cost),
        ("c29tZXNhbHQ", "c29tZXNhbHQ=", Form),
        ("c29tZXNhbHQ", "c29tZXM", Form),
        ("CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc", "CTFh", Form),
    ] {
        let text = argon2id.replace(from, to);
        assert_eq!(Stored::argon2id(&text).unwrap_err(), why, "{text}");
    }
    for text in ["W6ph5Mm5Pz8GgiULbPgzG37mj9g=", "{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g", "{SHA}W6ph", "{SHA256}x"]
    {
        assert_eq!(Stored::sha1(text).unwrap_err(), Form, "{text}");
    }
}

#[test]
fn what_is_shown_of_a_hash_is_its_kind_and_a_little() {
    let [_, (_, bcrypt), ..] = BCRYPT;
    assert_eq!(format!("{:?}", Stored::bcrypt(bcrypt).unwrap()), "Bcrypt(cost 6)");
    assert_eq!(format!("{:?}", Stored::sha1("{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=").unwrap()), "Sha1(5baa61…)");
}
