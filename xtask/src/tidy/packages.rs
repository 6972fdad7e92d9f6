//! No foreign package or archive was committed: what others publish comes from their registry, and no review can read it here.

use super::Finding;
use super::files::Tree;
use std::path::Path;

const ENDINGS: [&str; 10] = ["whl", "gz", "tgz", "xz", "zst", "zip", "tar", "jar", "deb", "crate"];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    tree.files
        .iter()
        .filter(|path| is_package(path))
        .map(|path| Finding::of_file(path, "a package or an archive does not belong here"))
        .collect()
}

fn is_package(path: &Path) -> bool {
    path.extension().is_some_and(|found| ENDINGS.iter().any(|ending| found.eq_ignore_ascii_case(ending)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_known_by_how_their_names_end() {
        for package in ["six-1.17.0-py2.py3-none-any.whl", "tools/a.tar.gz", "b.ZIP"] {
            assert!(is_package(Path::new(package)), "{package}");
        }
        for source in ["src/zip.rs", "gz", "mesh.wat"] {
            assert!(!is_package(Path::new(source)), "{source}");
        }
    }
}
