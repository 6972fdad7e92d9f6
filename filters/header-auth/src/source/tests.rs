//! Credentials in every place and in every bad shape; what is left of a request once they are hidden.

use super::*;

const LIMIT: usize = 32;

fn header(name: &str) -> Source {
    Source::Header(name.into())
}

fn taken(source: Source, headers: &[(&str, &[u8])]) -> Result<Option<String>, Flaw> {
    let headers: Vec<Header<'_>> = headers.iter().map(|(name, value)| (name.as_bytes(), *value)).collect();
    present(&[source], &headers, LIMIT).map(|value| value.map(|value| value.escape_ascii().to_string()))
}

#[test]
fn a_key_in_a_header_is_taken_whole_or_refused() {
    let table: &[(&[u8], Result<&str, Flaw>)] = &[
        (b"k1", Ok("k1")),
        (b"k1,k2", Err(Flaw::Malformed)),
        (b"k1 ", Err(Flaw::Malformed)),
        (b" k1", Err(Flaw::Malformed)),
        (b"k\t1", Err(Flaw::Malformed)),
        (b"k\0", Err(Flaw::Malformed)),
        (b"\xff\xfe", Err(Flaw::Malformed)),
        (b"\"k1\"", Err(Flaw::Malformed)),
        (b"", Err(Flaw::Malformed)),
        (&[b'k'; LIMIT], Ok("kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk")),
        (&[b'k'; LIMIT + 1], Err(Flaw::TooLong)),
    ];
    for (value, expected) in table {
        let expected = expected.map(|key| Some(key.to_owned()));
        assert_eq!(taken(header("x-api-key"), &[("X-Api-Key", value)]), expected, "{}", value.escape_ascii());
    }
    assert_eq!(taken(header("x-api-key"), &[("x-other", b"k1")]), Ok(None));
}

#[test]
fn two_headers_are_ambiguous_even_if_they_agree() {
    let headers: &[(&str, &[u8])] = &[("x-api-key", b"k1"), ("X-API-KEY", b"k1")];
    assert_eq!(taken(header("x-api-key"), headers), Err(Flaw::Duplicate));
}

#[test]
fn two_sources_that_both_carry_a_key_are_ambiguous() {
    let headers: &[Header<'_>] = &[(b"x-api-key", b"k1"), (b":path", b"/?key=k1")];
    let sources = [header("x-api-key"), Source::Query("key".into())];
    assert_eq!(present(&sources, headers, LIMIT), Err(Flaw::Duplicate));
    assert_eq!(present(&sources, &headers[1..], LIMIT), Ok(Some(Cow::Borrowed(&b"k1"[..]))));
}

#[test]
fn a_query_parameter_is_known_in_every_spelling_and_read_in_one() {
    let table: &[(&str, Result<Option<&str>, Flaw>)] = &[
        ("/x?api_key=k1", Ok(Some("k1"))),
        ("/x?a=b&api_key=k1&c", Ok(Some("k1"))),
        ("/x?api%5Fkey=k1", Ok(Some("k1"))),
        ("/x?api_key=k%31", Ok(Some("k1"))),
        ("/x?api_key=a=b", Ok(Some("a=b"))),
        ("/x?api_key=k%2B1", Ok(Some("k+1"))),
        ("/x?api_key=k+1", Err(Flaw::Malformed)),
        ("/x?api_key=k%2", Err(Flaw::Malformed)),
        ("/x?api_key=%00", Err(Flaw::Malformed)),
        ("/x?api_key=k1;a=b", Err(Flaw::Malformed)),
        ("/x?api_key=", Err(Flaw::Malformed)),
        ("/x?api_key", Err(Flaw::Malformed)),
        ("/x?api_key=k1&api_key=k1", Err(Flaw::Duplicate)),
        ("/x?api_key=k1&%61pi_key=k2", Err(Flaw::Duplicate)),
        ("/x?API_KEY=k1", Ok(None)),
        ("/x?a=1;api_key=k1", Ok(None)),
        ("/x#?api_key=k1", Ok(None)),
        ("/api_key=k1", Ok(None)),
        ("/x?api_key=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", Err(Flaw::TooLong)),
    ];
    for (path, expected) in table {
        let expected = expected.map(|key| key.map(str::to_owned));
        assert_eq!(taken(Source::Query("api_key".into()), &[(":path", path.as_bytes())]), expected, "{path}");
    }
}

#[test]
fn a_cookie_is_read_from_all_lines_once() {
    let source = || Source::Cookie("key".into());
    assert_eq!(taken(source(), &[("cookie", b"a=b; key=k1;c=d")]), Ok(Some("k1".into())));
    assert_eq!(taken(source(), &[("cookie", b"a=b"), ("cookie", b" key = k1 ")]), Ok(Some("k1".into())));
    assert_eq!(taken(source(), &[("cookie", b"key=k1"), ("cookie", b"key=k1")]), Err(Flaw::Duplicate));
    assert_eq!(taken(source(), &[("cookie", b"key=\"k1\"")]), Err(Flaw::Malformed));
    assert_eq!(taken(source(), &[("cookie", b"key")]), Err(Flaw::Malformed));
    assert_eq!(taken(source(), &[("cookie", b"xkey=k1; KEY=k1")]), Ok(None));
}

#[test]
fn a_scheme_is_read_without_case_and_others_are_left_alone() {
    let source = || Source::Scheme("Bearer".into());
    assert_eq!(taken(source(), &[("authorization", b"bEARER  k1")]), Ok(Some("k1".into())));
    assert_eq!(taken(source(), &[("authorization", b"Basic YTpi")]), Ok(None));
    assert_eq!(taken(source(), &[("authorization", b"Bearer")]), Err(Flaw::Malformed));
    assert_eq!(taken(source(), &[("authorization", b"Bearer a=b,c=d")]), Err(Flaw::Malformed));
    assert_eq!(taken(source(), &[("authorization", b"Basic YTpi,Bearer k1")]), Err(Flaw::Malformed));
    assert_eq!(
        taken(source(), &[("authorization", b"Bearer a"), ("authorization", b"Basic b")]),
        Err(Flaw::Duplicate)
    );
    assert_eq!(taken(source(), &[("authorization", &[b'a'; LIMIT + 1])]), Err(Flaw::TooLong));
}

fn left_after_hiding(sources: &[Source], headers: &[(&str, &str)]) -> Vec<(String, String)> {
    let given: Vec<Header<'_>> =
        headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
    let mut left: Vec<(String, String)> =
        headers.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    let text = |bytes: Text<'_>| String::from_utf8(bytes.into_owned()).unwrap();
    let mut edits = Vec::new();
    hide(sources.iter(), &given, &mut edits);
    for edit in edits {
        match edit {
            Edit::Remove(name) => left.retain(|(given, _)| *given.as_bytes() != *name),
            Edit::Set(name, value) => {
                left.retain(|(given, _)| *given.as_bytes() != *name);
                left.push((text(name), text(value)));
            }
            Edit::Add(name, value) => left.push((text(name), text(value))),
        }
    }
    left
}

#[test]
fn hiding_takes_the_credential_and_leaves_the_rest_byte_for_byte() {
    let sources = [
        header("x-api-key"),
        Source::Query("key".into()),
        Source::Query("k2".into()),
        Source::Cookie("key".into()),
        Source::Scheme("Basic".into()),
    ];
    type Fields<'a> = &'a [(&'a str, &'a str)];
    let table: &[(Fields<'_>, Fields<'_>)] = &[
        (&[("x-api-key", "k"), ("accept", "*/*")], &[("accept", "*/*")]),
        (&[("authorization", "Basic YTpi")], &[]),
        (&[("authorization", "Bearer YTpi")], &[("authorization", "Bearer YTpi")]),
        (&[(":path", "/a?key=k")], &[(":path", "/a")]),
        (&[(":path", "/a?x=%20&k%65y=k&y&k2=z")], &[(":path", "/a?x=%20&y")]),
        (&[(":path", "/a?x=1")], &[(":path", "/a?x=1")]),
        (&[("cookie", "a=b; key=k; c=d"), ("cookie", "e=f")], &[("cookie", "a=b; c=d"), ("cookie", "e=f")]),
        (&[("cookie", "key=k")], &[]),
        (&[("cookie", "a=b;c=d")], &[("cookie", "a=b;c=d")]),
    ];
    for (before, after) in table {
        let left = left_after_hiding(&sources, before);
        let left: Vec<(&str, &str)> =
            left.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(left, *after, "{before:?}");
    }
}

#[test]
fn an_edit_is_shown_without_its_value() {
    assert_eq!(format!("{:?}", Edit::Set(b"cookie".into(), b"key=secret".into())), "Set(cookie)");
}
