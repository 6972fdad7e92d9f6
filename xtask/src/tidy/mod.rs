//! House rules no compiler knows, checked so that nobody has to say them in review. Lengths of functions are clippy's
//! (`too_many_lines`, at the threshold in `clippy.toml`).

mod docs;
mod files;
mod layout;
mod merges;
mod packages;
mod sources;

use files::Tree;
use std::fmt;
use std::path::PathBuf;

/// Checks the whole workspace and lists everything that is wrong with it.
pub(crate) fn run() -> anyhow::Result<()> {
    let tree = Tree::read(&crate::root())?;
    let mut findings = sources::check(&tree);
    findings.extend(layout::check(&tree));
    findings.extend(docs::check(&tree));
    findings.extend(merges::check(&tree));
    findings.extend(packages::check(&tree));
    findings.sort_by(|a, b| (&a.path, a.line).cmp(&(&b.path, b.line)));
    for finding in &findings {
        eprintln!("{finding}");
    }
    match findings.len() {
        0 => Ok(()),
        1 => anyhow::bail!("one house rule is broken"),
        more => anyhow::bail!("{more} house rules are broken"),
    }
}

/// Something to be put right, and where.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    path: PathBuf,
    /// Counted from one; 0 for the file as a whole.
    line: usize,
    message: String,
}

impl Finding {
    fn of_file(path: &std::path::Path, message: impl Into<String>) -> Self {
        Self::at(path, 0, message)
    }

    fn at(path: &std::path::Path, line: usize, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path.display(), self.message),
            line => write!(f, "{}:{line}: {}", self.path.display(), self.message),
        }
    }
}
