//! Guests are built from what their sources say now, and a failed build says what to do.

use std::path::Path;
use tempfile::TempDir;
use wayside::build::{BuildError, Guest, Target};

/// A crate of its own, outside of this workspace and without dependencies, as a filter author would have one.
fn stranger(lib: &str) -> TempDir {
    let dir = tempfile::tempdir().expect("a temporary folder");
    write(&dir, "Cargo.toml", MANIFEST);
    write(&dir, "src/lib.rs", lib);
    write(&dir, "examples/loop-back.rs", &answer(3));
    write(&dir, "examples/native.rs", "fn main() {}\n");
    dir
}

const MANIFEST: &str = r#"
[package]
name = "stranger"
version = "0.1.0"
edition = "2024"

[lib]
name = "strange"
crate-type = ["cdylib", "rlib"]

[features]
loud = []

[[example]]
name = "loop-back"
crate-type = ["cdylib"]

[[example]]
name = "native"
"#;

fn write(dir: &TempDir, file: &str, text: &str) {
    let path = dir.path().join(file);
    std::fs::create_dir_all(path.parent().expect("a file lies in a folder")).expect("a folder");
    std::fs::write(path, text).expect("a file");
}

fn answer(number: u32) -> String {
    format!("#[unsafe(no_mangle)] pub extern \"C\" fn answer() -> u32 {{ {number} }}\n")
}

fn guest_in(dir: &TempDir) -> Guest {
    Guest::here().manifest_dir(dir.path())
}

#[test]
fn a_changed_source_gives_a_module_with_another_hash() {
    let dir = stranger(&answer(1));
    let before = guest_in(&dir).rebuild().expect("it builds");
    let again = guest_in(&dir).rebuild().expect("it builds");
    write(&dir, "src/lib.rs", &answer(2));
    let after = guest_in(&dir).rebuild().expect("it builds");

    assert_eq!(before, again, "an unchanged source gives the same file");
    assert_ne!(before.sha256, after.sha256);
    assert_eq!(hash_of_file(&before.path), before.sha256.to_string(), "the earlier module is still there");
    assert_eq!(hash_of_file(&after.path), after.sha256.to_string());
    assert_eq!(
        after.to_string(),
        format!("strange.wasm  {} bytes  sha256 {}", after.read().expect("it is there").len(), after.sha256)
    );
}

fn hash_of_file(path: &Path) -> String {
    wayside::build::Sha256::of(&std::fs::read(path).expect("the module lies there")).to_string()
}

#[test]
fn a_workspace_without_the_filter_profile_gets_one_and_a_note() {
    let dir = stranger(&answer(1));
    let stripped = guest_in(&dir).rebuild().expect("it builds");
    assert!(
        stripped.note.as_deref().is_some_and(|note| note.contains("no [profile.filter]")),
        "{:?}",
        stripped.note
    );
    assert!(stripped.len < 1000, "{stripped}");

    write(
        &dir,
        "Cargo.toml",
        &format!("{MANIFEST}\n[profile.filter]\ninherits = \"release\"\ndebug = true\n"),
    );
    let own = guest_in(&dir).rebuild().expect("it builds");
    assert_eq!(own.note, None);
    assert!(own.len > stripped.len, "its own profile keeps debug information: {own}, {stripped}");
}

#[test]
fn features_targets_and_examples_are_modules_of_their_own() {
    let dir = stranger(
        "#[unsafe(no_mangle)] pub extern \"C\" fn answer() -> u32 { if cfg!(feature = \"loud\") { 2 } else { 1 } }\n",
    );
    let plain = guest_in(&dir).rebuild().expect("it builds");
    let loud = guest_in(&dir).features(["loud"]).rebuild().expect("it builds");
    let wasip1 = guest_in(&dir).target(Target::Wasip1).rebuild().expect("it builds");
    let example = guest_in(&dir).example("loop-back").rebuild().expect("it builds");

    assert_ne!(plain.sha256, loud.sha256);
    assert_eq!(wasip1.target, Target::Wasip1);
    assert_ne!(plain.sha256, wasip1.sha256);
    assert_eq!(example.file_name(), "loop_back.wasm");
    for artifact in [plain, loud, wasip1, example] {
        artifact.read().expect("each lies where no other build overwrites it");
    }
    let error = guest_in(&dir).example("native").rebuild().expect_err("a program is no guest");
    assert_eq!(
        error.to_string(),
        "package `stranger` has no example `native` with crate-type = [\"cdylib\"]; it has these: loop-back"
    );
}

#[test]
fn two_threads_that_want_the_same_guest_get_the_same_file() {
    let dir = stranger(&answer(1));
    let guest = guest_in(&dir);
    let artifacts: Vec<_> = std::thread::scope(|scope| {
        // Two ask for what this process has built, two ask cargo.
        let threads: Vec<_> = (0..4)
            .map(|number| {
                let guest = &guest;
                scope.spawn(move || if number % 2 == 0 { guest.build() } else { guest.rebuild() })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic").expect("it builds")).collect()
    });
    assert!(artifacts.windows(2).all(|two| two[0] == two[1]), "{artifacts:?}");
}

#[test]
fn an_artefact_somebody_changed_is_not_read() {
    let dir = stranger(&answer(1));
    let artifact = guest_in(&dir).rebuild().expect("it builds");
    std::fs::write(&artifact.path, b"something else").expect("a file");
    let error = artifact.read().expect_err("it is not what was built");
    assert!(error.to_string().contains("changed since it was built: found sha256 "), "{error}");
    // And the next build puts it right.
    guest_in(&dir).rebuild().expect("it builds").read().expect("it is what was built");
}

/// The hash of the guest in the folder `WAYSIDE_TEST_STRANGER`, to a process that has another environment.
#[test]
#[ignore = "run by settings_of_the_native_build_do_not_change_a_guest"]
fn guest_of_a_child_process() {
    let dir = std::env::var("WAYSIDE_TEST_STRANGER").expect("the parent says where");
    let artifact = Guest::here().manifest_dir(&dir).build().expect("it builds");
    std::fs::write(Path::new(&dir).join("hash"), artifact.sha256.to_string()).expect("a file");
}

#[test]
fn settings_of_the_native_build_do_not_change_a_guest() {
    let dir = stranger(&answer(1));
    let expected = guest_in(&dir).rebuild().expect("it builds").sha256.to_string();
    // Each of these would stop the build if it reached it.
    let status = std::process::Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "build::guest_of_a_child_process", "--ignored", "--quiet"])
        .env("WAYSIDE_TEST_STRANGER", dir.path())
        .env("RUSTFLAGS", "--no-such-flag")
        .env("CARGO_ENCODED_RUSTFLAGS", "--no-such-flag")
        .env("CARGO_BUILD_TARGET", "no-such-target")
        .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", "/nowhere/linker")
        .env("RUSTC_WRAPPER", "/nowhere/wrapper")
        .env("RUSTC_WORKSPACE_WRAPPER", "/nowhere/wrapper")
        .status()
        .expect("it runs");
    assert!(status.success(), "{status}");
    let found = std::fs::read_to_string(dir.path().join("hash")).expect("the child wrote it");
    assert_eq!(found, expected);
}

#[test]
fn an_unknown_package_is_named_with_the_ones_there_are() {
    let dir = stranger(&answer(1));
    let error = Guest::package("timeuot").manifest_dir(dir.path()).build().expect_err("there is none");
    assert!(
        matches!(&error, BuildError::UnknownPackage { package, guests, .. } if package == "timeuot" && guests == &["stranger"])
    );
    assert!(error.to_string().contains("no package `timeuot`"), "{error}");
}

#[test]
fn a_package_without_a_cdylib_is_told_what_its_manifest_lacks() {
    let dir = stranger(&answer(1));
    write(&dir, "Cargo.toml", "[package]\nname = \"plain\"\nversion = \"0.1.0\"\nedition = \"2024\"\n");
    let error = guest_in(&dir).build().expect_err("an rlib is no guest");
    assert_eq!(
        error.to_string(),
        "package `plain` builds no guest: its [lib] needs crate-type = [\"cdylib\", \"rlib\"]"
    );
}

#[test]
fn a_compile_error_of_the_guest_is_shown_whole() {
    let dir = stranger("pub fn one() -> u32 { \"one\" }\n\npub fn two() -> u32 { three() }\n");
    let error = guest_in(&dir).build().expect_err("it does not compile").to_string();
    for part in [
        "guest `stranger` does not compile for wasm32-unknown-unknown",
        "error[E0308]",
        "error[E0425]",
        "src/lib.rs:3:23",
    ] {
        assert!(error.contains(part), "{part} is missing in: {error}");
    }
}

#[test]
fn a_folder_without_a_package_is_named() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let error = guest_in(&dir).build().expect_err("there is nothing");
    assert!(matches!(error, BuildError::Workspace { .. }));
    assert!(error.to_string().contains(&dir.path().display().to_string()), "{error}");
}

/// Stands in for the programs of a machine that lacks the target; real ones cannot be taken away from a running test.
#[cfg(unix)]
mod missing_target {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use wayside::build::Toolchain;

    fn program(dir: &TempDir, name: &str, script: &str) -> std::ffi::OsString {
        write(dir, name, &format!("#!/bin/sh\n{script}\n"));
        let path = dir.path().join(name);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("it is executable");
        path.into()
    }

    #[test]
    fn one_sentence_says_what_to_install_when_rustup_cannot() {
        let dir = stranger(&answer(1));
        let tools = |rustup| Toolchain {
            rustc: program(&dir, "rustc", "echo /nowhere/lib"),
            rustup,
            ..Toolchain::default()
        };
        let offline = program(&dir, "rustup", "echo 'error: could not download file' >&2; exit 1");
        let error =
            guest_in(&dir).target(Target::Wasip1).toolchain(tools(offline)).build().expect_err("no std");
        assert!(error.to_string().starts_with(
            "the standard library for wasm32-wasip1 is not installed, and `rustup target add` could not install it \
             (error: could not download file): run `rustup target add wasm32-wasip1`"
        ));
        let error = guest_in(&dir).toolchain(tools("/nowhere/rustup".into())).build().expect_err("no rustup");
        assert!(error.to_string().contains("`/nowhere/rustup` does not run"), "{error}");
    }

    #[test]
    fn a_missing_target_is_installed_and_the_build_goes_on() {
        let dir = stranger(&answer(1));
        let root = dir.path().display();
        let tools = Toolchain {
            rustc: program(&dir, "rustc", &format!("echo {root}/std")),
            rustup: program(
                &dir,
                "rustup",
                &format!("mkdir -p {root}/std; echo \"$*\" > {root}/std/libcore-1.rlib"),
            ),
            ..Toolchain::default()
        };
        guest_in(&dir).toolchain(tools).build().expect("it builds");
        let asked = std::fs::read_to_string(dir.path().join("std/libcore-1.rlib")).expect("rustup ran");
        assert_eq!(asked, "target add wasm32-unknown-unknown\n");
    }
}
