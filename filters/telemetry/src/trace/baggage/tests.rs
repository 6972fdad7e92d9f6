//! TE-3: the tests of w3c/baggage (`test/test_baggage.py`) as vectors, and the limits.

use proptest::prelude::*;

use super::*;

/// Key, decoded value, and properties with their decoded values.
type Entry = (&'static str, &'static str, &'static [(&'static str, Option<&'static str>)]);

/// The same, owned.
type Read = (String, String, Vec<(String, Option<String>)>);

fn read(field: &str) -> Vec<Read> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let members = field.split(',').map(|member| Member::parse(member.as_bytes()).unwrap());
    let properties = |member: Member<'_>| {
        member.properties().map(|(key, value)| (text(key), value.map(decoded))).collect::<Vec<_>>()
    };
    members.map(|member| (text(member.key), decoded(member.value), properties(member))).collect()
}

#[test]
fn te_3_the_published_texts_are_read_as_published() {
    const ASDF: &str = "\t \"';=asdf!@#$%^&*()";
    const ENCODED: &str = "%09%20%22%27%3B%3Dasdf%21%40%23%24%25%5E%26%2A%28%29";
    let encoded = format!("SomeKey={ENCODED}");
    let encoded_ows = format!("SomeKey \t = \t {ENCODED} \t ");
    let encoded_property = format!("SomeKey=SomeValue;SomePropKey={ENCODED}");
    let table: &[(&str, &[Entry])] = &[
        ("SomeKey=SomeValue", &[("SomeKey", "SomeValue", &[])]),
        (
            "SomeKey=SomeValue;SomeProp,SomeKey2=SomeValue2;ValueProp=PropVal",
            &[
                ("SomeKey", "SomeValue", &[("SomeProp", None)]),
                ("SomeKey2", "SomeValue2", &[("ValueProp", Some("PropVal"))]),
            ],
        ),
        (
            "SomeKey \t = \t SomeValue \t ; \t SomeProp \t , \t SomeKey2 \t = \t SomeValue2 \t ; \t ValueProp \t = \t PropVal",
            &[
                ("SomeKey", "SomeValue", &[("SomeProp", None)]),
                ("SomeKey2", "SomeValue2", &[("ValueProp", Some("PropVal"))]),
            ],
        ),
        (
            "SomeKey=SomeValue;SomePropKey=SomePropValue,SomeKey2=SomeValue2;SomePropKey2=SomePropValue2",
            &[
                ("SomeKey", "SomeValue", &[("SomePropKey", Some("SomePropValue"))]),
                ("SomeKey2", "SomeValue2", &[("SomePropKey2", Some("SomePropValue2"))]),
            ],
        ),
        (
            "SomeKey \t = \t SomeValue \t ; \t SomePropKey=SomePropValue \t , \t SomeKey2 \t = \t SomeValue2 \t ; \t SomePropKey2 \t = \t SomePropValue2",
            &[
                ("SomeKey", "SomeValue", &[("SomePropKey", Some("SomePropValue"))]),
                ("SomeKey2", "SomeValue2", &[("SomePropKey2", Some("SomePropValue2"))]),
            ],
        ),
        ("SomeKey=SomeValue=equals", &[("SomeKey", "SomeValue=equals", &[])]),
        (&encoded, &[("SomeKey", ASDF, &[])]),
        ("SomeKey=SomeValue;SomeProp", &[("SomeKey", "SomeValue", &[("SomeProp", None)])]),
        (
            "SomeKey=SomeValue;SomeProp;SecondProp=PropValue",
            &[("SomeKey", "SomeValue", &[("SomeProp", None), ("SecondProp", Some("PropValue"))])],
        ),
        (
            "SomeKey=SomeValue;SomeProp;SomeProp=PropValue;SomeProp=AnotherPropValue",
            &[(
                "SomeKey",
                "SomeValue",
                &[
                    ("SomeProp", None),
                    ("SomeProp", Some("PropValue")),
                    ("SomeProp", Some("AnotherPropValue")),
                ],
            )],
        ),
        (
            "SomeKey=SomeValue;SomePropKey=SomePropValue",
            &[("SomeKey", "SomeValue", &[("SomePropKey", Some("SomePropValue"))])],
        ),
        ("SomeKey \t = \t SomeValue \t ", &[("SomeKey", "SomeValue", &[])]),
        (&encoded_ows, &[("SomeKey", ASDF, &[])]),
        ("SomeKey \t = \t SomeValue \t ; \t SomeProp", &[("SomeKey", "SomeValue", &[("SomeProp", None)])]),
        (
            "SomeKey \t = \t SomeValue \t ; \t SomeProp \t ; \t SecondProp \t = \t PropValue",
            &[("SomeKey", "SomeValue", &[("SomeProp", None), ("SecondProp", Some("PropValue"))])],
        ),
        (
            "SomeKey \t = \t SomeValue \t ; \t SomePropKey \t = \t SomePropValue",
            &[("SomeKey", "SomeValue", &[("SomePropKey", Some("SomePropValue"))])],
        ),
        (&encoded_property, &[("SomeKey", "SomeValue", &[("SomePropKey", Some(ASDF))])]),
        (
            "SomeKey=SomeValue;ValueProp%20%09%20%3D%20%09%20PropVal",
            &[("SomeKey", "SomeValue", &[("ValueProp%20%09%20%3D%20%09%20PropVal", None)])],
        ),
        // The examples of the specification.
        (
            "userId=Am%C3%A9lie,serverNode=DF%2028,isProduction=false",
            &[("userId", "Amélie", &[]), ("serverNode", "DF 28", &[]), ("isProduction", "false", &[])],
        ),
        ("a=%ff%41%4", &[("a", "\u{fffd}A%4", &[])]),
    ];
    for (field, expected) in table {
        let expected: Vec<_> = expected
            .iter()
            .map(|(key, value, properties)| {
                let owned = |text: &str| text.to_owned();
                let properties: Vec<_> =
                    properties.iter().map(|(key, value)| (owned(key), value.map(owned))).collect();
                (owned(key), owned(value), properties)
            })
            .collect();
        assert_eq!(read(field), expected, "{field}");
        assert_eq!(passed_on([field.as_bytes()].into_iter(), |_| true), None, "{field} passes as it is");
    }
}

fn passed(lines: &[&str]) -> Option<String> {
    let lines: Vec<_> = lines.iter().map(|line| line.as_bytes()).collect();
    passed_on(lines.into_iter(), |key| key != b"secret").map(|field| String::from_utf8(field).unwrap())
}

#[test]
fn te_3_a_bad_member_goes_alone() {
    for (line, expected) in [
        ("a=1,b 2,c=3", "a=1,c=3"),
        ("a=1,=2", "a=1"),
        ("a=\"1\",b=2;p", "b=2;p"),
        ("a=1;,b=2", "b=2"),
        ("a=1;p=\\,b=2", "b=2"),
        ("a=\u{e4},b=2", "b=2"),
        ("a b=1 , b = 2 ; p ", "b = 2 ; p"),
        ("nothing", ""),
        ("a=1,secret=2,b=3", "a=1,b=3"),
    ] {
        assert_eq!(passed(&[line]).as_deref(), Some(expected), "{line}");
    }
    assert_eq!(passed(&["a=,b=2"]), None, "a value may be empty");
}

#[test]
fn te_3_all_lines_are_one_list() {
    assert_eq!(passed(&["userId =   alice", "serverNode = DF%2028, isProduction = false"]), None);
    assert_eq!(passed(&["a=1", "b 2", "c=3"]).as_deref(), Some("a=1,c=3"));
}

#[test]
fn te_3_sixty_four_members_pass_and_no_more() {
    let member = |at: usize| format!("key{at}=value");
    let list = |members: usize| (0..members).map(member).collect::<Vec<_>>().join(",");
    assert_eq!(passed(&[&list(64)]), None);
    assert_eq!(passed(&[&list(65)]), Some(list(64)));
    assert_eq!(passed(&[&list(64), "last=1"]), Some(list(64)), "over all lines");
}

#[test]
fn te_3_eight_kibibytes_pass_and_no_more() {
    let whole = format!("a={}", "0123456789".repeat(819));
    assert_eq!(whole.len(), 8192);
    assert_eq!(passed(&[&whole]), None);
    assert_eq!(passed(&[&format!("{whole}0")]).as_deref(), Some(""), "no member is cut");
    assert_eq!(passed(&[&whole, "b=1"]), Some(whole.clone()));
    let (long, short) = (format!("a={}", "0".repeat(8000)), format!("b={}", "1".repeat(300)));
    assert_eq!(passed(&[&long, &short, "c=2"]), Some(format!("{long},c=2")));
    let spaced = format!("a=1{}, b=2", " ".repeat(9000));
    assert_eq!(passed(&[&spaced]).as_deref(), Some("a=1,b=2"));
}

proptest! {
    #[test]
    fn te_3_whatever_comes_what_passes_is_in_the_grammar_and_the_limits(
        lines in prop::collection::vec("[a-c=;, %\"\u{e9}]{0,40}", 0..5)
    ) {
        let lines: Vec<_> = lines.iter().map(|line| line.as_bytes()).collect();
        if let Some(field) = passed_on(lines.into_iter(), |_| true) {
            prop_assert_eq!(passed_on([&*field].into_iter(), |_| true), None);
            prop_assert!(field.len() <= MAX_BYTES);
        }
    }

    #[test]
    fn no_bytes_make_it_panic(line: Vec<u8>) {
        let _ = Member::parse(&line).map(|member| (member.properties().count(), decoded(member.value)));
        let _ = passed_on([&*line].into_iter(), |_| false);
    }
}
