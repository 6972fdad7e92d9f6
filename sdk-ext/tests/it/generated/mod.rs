//! Cases made of bytes, for the fuzzers and for `cargo test`, which runs their corpora and a bounded number of cases of chance.

pub(crate) mod bodies;
pub(crate) mod headers;
pub(crate) mod path;
pub(crate) mod windows;

#[cfg(test)]
mod corpus {
    use proptest::prelude::*;
    use std::fs;
    use std::path::Path;

    fn each(target: &str, case: fn(&[u8])) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
        let mut count = 0;
        for entry in fs::read_dir(&folder).expect("a corpus") {
            case(&fs::read(entry.expect("an entry").path()).expect("a file"));
            count += 1;
        }
        assert!(count > 10, "{}: {count}", folder.display());
    }

    #[test]
    fn what_fuzzers_found_worth_keeping_holds() {
        each("bodies", super::bodies::case);
        each("headers", super::headers::case);
        each("path", super::path::case);
        each("windows", super::windows::case);
    }

    /// Every way to cut six bytes, with every limit around their number.
    #[test]
    fn a_body_cut_in_any_way_comes_out_the_same() {
        for cuts in 0..32_u32 {
            let mut parts = vec![String::new()];
            for (place, letter) in ('a'..='f').enumerate() {
                parts.last_mut().expect("one").push(letter);
                if cuts & (1 << place) != 0 {
                    parts.push(String::new());
                }
            }
            for flags in 0..8 {
                let bit = |bit: u32| flags & (1 << bit) != 0;
                let (response, edited, trailers) = (bit(0), bit(1), bit(2));
                for max in [0, 5, 6, 7] {
                    let parts = parts.clone();
                    super::bodies::check(&super::bodies::Body { response, edited, max, parts, trailers });
                }
            }
        }
    }

    proptest! {
        #[test]
        fn bodies_of_chance_hold(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
            super::bodies::case(&bytes);
        }

        #[test]
        fn header_maps_of_chance_hold(bytes in proptest::collection::vec(prop_oneof![any::<u8>(), Just(0), Just(1), Just(b'\n'), Just(b'x')], 0..200)) {
            super::headers::case(&bytes);
        }

        #[test]
        fn paths_of_chance_hold(bytes in proptest::collection::vec(prop_oneof![any::<u8>(), Just(b'/'), Just(b'.'), Just(b'%')], 0..40)) {
            super::path::case(&bytes);
        }

        #[test]
        fn counts_of_chance_hold(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            super::windows::case(&bytes);
        }
    }
}
