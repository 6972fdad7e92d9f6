//! Component values as RFC 9421, 2.1 and 2.2 show them.

use super::*;
use crate::messages::Field;

fn value_of(fields: &[Field<'_>], identifier: &str) -> Result<String, Refused> {
    let item = Item::parse(identifier.as_bytes()).unwrap();
    let structures = Structures::new(vec![("example-dict".to_owned(), Structure::Dictionary)]);
    let component = Component::parse(&item, &structures)?;
    let message = Message::of(fields).unwrap();
    component.value(&message, Spacing::AsSeen).map(|value| String::from_utf8(value.into_owned()).unwrap())
}

const REQUEST: &[Field<'_>] = &[
    (b":method", b"POST"),
    (b":scheme", b"HTTPS"),
    (b":authority", b"WWW.Example.com:443"),
    (b":path", b"/path?param=value&foo=bar&baz=bat%2Dman"),
];

#[test]
fn parts_of_the_target_are_as_the_rfc_shows_them() {
    for (identifier, value) in [
        ("@method", "POST"),
        ("@target-uri", "https://www.example.com/path?param=value&foo=bar&baz=bat%2Dman"),
        ("@authority", "www.example.com"),
        ("@scheme", "https"),
        ("@request-target", "/path?param=value&foo=bar&baz=bat%2Dman"),
        ("@path", "/path"),
        ("@query", "?param=value&foo=bar&baz=bat%2Dman"),
    ] {
        assert_eq!(value_of(REQUEST, &format!("\"{identifier}\"")).as_deref(), Ok(value));
    }
    assert_eq!(value_of(REQUEST, "\"@query-param\";name=\"baz\"").as_deref(), Ok("bat-man"));
}

#[test]
fn what_is_absent_has_the_value_of_the_rfc_or_none() {
    let target = |path: &'static [u8]| [REQUEST[0], REQUEST[1], REQUEST[2], (&b":path"[..], path)];
    assert_eq!(value_of(&target(b"/"), "\"@query\"").as_deref(), Ok("?"));
    assert_eq!(value_of(&target(b"?a"), "\"@path\"").as_deref(), Ok("/"));
    assert_eq!(value_of(&target(b"*"), "\"@request-target\"").as_deref(), Ok("*"));
    for path in [&b"/a#b"[..], b"/a?b#c"] {
        assert_eq!(value_of(&[(b":path", path)], "\"@path\""), Err(Refused::Absent));
    }
    for identifier in ["@method", "@scheme", "@authority", "@target-uri", "@path", "@query", "@status", "x"] {
        assert_eq!(value_of(&[], &format!("\"{identifier}\"")), Err(Refused::Absent), "{identifier}");
    }
    let connect: &[Field<'_>] = &[(b":method", b"CONNECT"), (b":authority", b"www.example.com:80")];
    assert_eq!(value_of(connect, "\"@request-target\"").as_deref(), Ok("www.example.com:80"));
}

#[test]
fn an_authority_with_a_user_or_without_a_host_is_none_and_only_the_schemes_own_port_goes() {
    let at = |scheme: &'static [u8], authority: &'static [u8]| {
        value_of(&[(b":scheme", scheme), (b":authority", authority)], "\"@authority\"")
    };
    assert_eq!(at(b"http", b"a:80").as_deref(), Ok("a"));
    assert_eq!(at(b"https", b"a:80").as_deref(), Ok("a:80"));
    assert_eq!(at(b"http", b"a:443").as_deref(), Ok("a:443"));
    assert_eq!(at(b"https", b"[::1]:443").as_deref(), Ok("[::1]"));
    for wrong in [&b"u@a"[..], b"", b"a@b:443"] {
        assert_eq!(at(b"https", wrong), Err(Refused::Absent));
    }
}

#[test]
fn fields_are_as_the_rfc_shows_them() {
    let fields: &[Field<'_>] = &[
        (b":authority", b"www.example.com"),
        (b"x-ows-header", b"  Leading and trailing whitespace.  "),
        (b"cache-control", b"max-age=60"),
        (b"cache-control", b"   must-revalidate"),
        (b"example-dict", b" a=1,    b=2;x=1;y=2,   c=(a   b   c), d"),
        (b"x-empty-header", b""),
        (b"example-header", b"value, with, lots"),
        (b"example-header", b"of, commas"),
    ];
    for (identifier, value) in [
        (r#""host""#, "www.example.com"),
        (r#""x-ows-header""#, "Leading and trailing whitespace."),
        (r#""cache-control""#, "max-age=60, must-revalidate"),
        (r#""x-empty-header""#, ""),
        (r#""example-dict""#, "a=1,    b=2;x=1;y=2,   c=(a   b   c), d"),
        (r#""example-dict";sf"#, "a=1, b=2;x=1;y=2, c=(a b c), d"),
        (r#""example-dict";key="a""#, "1"),
        (r#""example-dict";key="d""#, "?1"),
        (r#""example-dict";key="b""#, "2;x=1;y=2"),
        (r#""example-dict";key="c""#, "(a b c)"),
        (r#""example-header""#, "value, with, lots, of, commas"),
        (r#""example-header";bs"#, ":dmFsdWUsIHdpdGgsIGxvdHM=:, :b2YsIGNvbW1hcw==:"),
    ] {
        assert_eq!(value_of(fields, identifier).as_deref(), Ok(value), "{identifier}");
    }
    assert_eq!(value_of(fields, r#""example-dict";key="e""#), Err(Refused::Absent));
}

#[test]
fn what_is_not_understood_or_not_known_here_is_refused() {
    for identifier in [
        r#""@signature-params""#,
        r#""@unknown""#,
        r#""@method";req"#,
        r#""@method";sf"#,
        r#""@query-param""#,
        r#""@query-param";name=a"#,
        r#""@query-param";name="a";req"#,
        r#""@path";name="a""#,
        r#""Date""#,
        r#""""#,
        r#""a b""#,
        r#"":path""#,
        r#""date";req"#,
        r#""date";tr"#,
        r#""date";sf"#,
        r#""date";key="a""#,
        r#""example-dict";sf=?0"#,
        r#""example-dict";sf;bs"#,
        r#""example-dict";key=a"#,
        r#""date";bs=1"#,
        r#""date";new"#,
    ] {
        assert_eq!(value_of(REQUEST, identifier), Err(Refused::Unsupported), "{identifier}");
    }
    assert_eq!(value_of(REQUEST, "date"), Err(Refused::Malformed), "no string");
}

#[test]
fn a_space_is_put_after_commas_that_join_and_nowhere_else() {
    for (seen, written) in [
        ("a,b", "a, b"),
        ("a, b,c", "a, b, c"),
        ("a,\tb", "a,\tb"),
        (r#""a,b",c"#, r#""a,b", c"#),
        (r#""a\",b",c"#, r#""a\",b", c"#),
        (r#"a\,b"#, r#"a\, b"#),
        ("a,,", "a, , "),
        ("", ""),
    ] {
        assert_eq!(spaced(seen.as_bytes()), written.as_bytes(), "{seen}");
    }
}

#[test]
fn a_host_field_beside_the_authority_is_ambiguous() {
    let fields: &[Field<'_>] = &[(b":authority", b"a"), (b"host", b"a")];
    assert_eq!(value_of(fields, "\"host\""), Err(Refused::Absent));
}
