//! What the types forbid: each file of `forbidden` must not compile, for the reason that stands beside it.
//! `TRYBUILD=overwrite cargo test -p wayside-sdk-guests` writes the reasons; read them.

#[test]
fn what_would_go_wrong_in_a_phase_does_not_compile() {
    trybuild::TestCases::new().compile_fail("tests/forbidden/*.rs");
}
