//! Rules for Rust files: what stands at the head, how long they may be, what a note must name.

use super::Finding;
use super::files::Tree;
use std::path::Path;

/// Lines a file may have, its tests apart. Files of admired projects stay below this in nine cases of ten.
const MAX_LINES: usize = 600;

// Put together so that this file does not find itself.
const MARK: &str = concat!("TO", "DO");
const IGNORE: &str = concat!("#[", "ignore]");

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    tree.with_extension("rs").flat_map(|path| check_file(path, &tree.text(path))).collect()
}

fn check_file(path: &Path, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let head = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with("#!["));
    if !head.is_some_and(|line| line.starts_with("//! ")) {
        findings.push(Finding::of_file(path, "begins without a `//!` that says what the file is for"));
    }
    let lines = lines_without_tests(path, text);
    if lines > MAX_LINES {
        findings.push(Finding::of_file(
            path,
            format!("has {lines} lines without its tests, {MAX_LINES} at most"),
        ));
    }
    for (number, line) in (1..).zip(text.lines()) {
        if marks_no_issue(line) {
            findings.push(Finding::at(path, number, format!("a {MARK} names its issue: `{MARK}(#12): …`")));
        }
        if line.trim() == IGNORE {
            findings.push(Finding::at(path, number, "an ignored test says why: `#[ignore = \"…\"]`"));
        }
    }
    findings
}

fn lines_without_tests(path: &Path, text: &str) -> usize {
    let is_test = path.components().any(|part| part.as_os_str() == "tests") || path.ends_with("tests.rs");
    if is_test {
        return 0;
    }
    let tests = text.find("\n#[cfg(test)]\nmod tests {").unwrap_or(text.len());
    text.get(..tests).unwrap_or(text).lines().count()
}

fn marks_no_issue(line: &str) -> bool {
    let Some((_, rest)) = line.split_once(MARK) else {
        return false;
    };
    let issue = rest.strip_prefix("(#").and_then(|rest| rest.split_once(')')).map(|(number, _)| number);
    !issue.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(text: &str) -> Vec<String> {
        check_file(Path::new("src/a.rs"), text).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_file_says_first_what_it_is_for() {
        assert_eq!(messages("//! Retry budgets.\n\nuse std::fmt;\n"), [""; 0]);
        assert_eq!(messages("#![no_main]\n//! A fuzz target.\n"), [""; 0]);
        assert_eq!(
            messages("use std::fmt;\n"),
            ["src/a.rs: begins without a `//!` that says what the file is for"]
        );
        assert_eq!(messages(""), ["src/a.rs: begins without a `//!` that says what the file is for"]);
    }

    #[test]
    fn a_long_file_is_refused_but_its_tests_do_not_count() {
        let code = format!("//! Long.\n{}", "const A: u8 = 0;\n".repeat(MAX_LINES - 1));
        assert_eq!(messages(&code), [""; 0]);
        assert_eq!(
            messages(&format!("{code}\n#[cfg(test)]\nmod tests {{\n{}}}\n", "// line\n".repeat(500))),
            [""; 0]
        );
        assert_eq!(
            messages(&format!("{code}const B: u8 = 0;\n")),
            ["src/a.rs: has 601 lines without its tests, 600 at most"]
        );
    }

    #[test]
    fn a_note_to_do_something_names_its_issue() {
        assert_eq!(messages(&format!("//! A.\n// {MARK}(#12): more\n")), [""; 0]);
        for note in ["", "(me)", "(#)", "(#12", " #12"] {
            assert_eq!(messages(&format!("//! A.\n// {MARK}{note}: more\n")).len(), 1, "{note}");
        }
    }

    #[test]
    fn an_ignored_test_has_a_reason() {
        assert_eq!(
            messages(&format!("//! A.\n{IGNORE}\n")),
            ["src/a.rs:2: an ignored test says why: `#[ignore = \"…\"]`"]
        );
        assert_eq!(messages("//! A.\n#[ignore = \"needs a network\"]\n"), [""; 0]);
    }
}
