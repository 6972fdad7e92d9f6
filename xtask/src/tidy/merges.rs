//! No file keeps both sides of a merge.

use super::Finding;
use super::files::Tree;

/// How Git begins and ends a conflict. What parts its sides underlines headings too.
const MARKS: [&str; 2] = ["<<<<<<< ", ">>>>>>> "];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for path in &tree.files {
        for (number, line) in (1..).zip(tree.text(path).lines()) {
            if is_mark(line) {
                findings.push(Finding::at(path, number, "a merge was committed with its conflict"));
            }
        }
    }
    findings
}

fn is_mark(line: &str) -> bool {
    MARKS.iter().any(|mark| line.starts_with(mark))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conflict_is_seen_at_both_its_ends() {
        let conflict = MARKS.map(|mark| format!("{mark}main"));
        assert!(conflict.iter().all(|line| is_mark(line)));
        assert!(!["=======", "<<<<<<<", "a <<<<<<< b", "<<<< HEAD"].into_iter().any(is_mark));
    }
}
