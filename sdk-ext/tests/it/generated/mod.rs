//! Cases made of bytes, for the fuzzers and for `cargo test`, which runs their corpora and a bounded number of cases of chance.

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
        each("path", super::path::case);
        each("windows", super::windows::case);
    }

    proptest! {
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
