//! The files a commit would hold: all but what is built and what is hidden.

use anyhow::Context;
use std::path::{Path, PathBuf};

/// Every file of the workspace, by its path from the root, sorted.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) root: PathBuf,
    pub(super) files: Vec<PathBuf>,
}

/// Folders that are built, as `.gitignore` says.
const BUILT: [&str; 2] = ["target", "dist"];

impl Tree {
    pub(super) fn read(root: &Path) -> anyhow::Result<Self> {
        let mut files = Vec::new();
        let mut folders = vec![PathBuf::new()];
        while let Some(folder) = folders.pop() {
            let path = root.join(&folder);
            for entry in
                std::fs::read_dir(&path).with_context(|| format!("cannot list {}", path.display()))?
            {
                let entry = entry?;
                let name = entry.file_name();
                let hidden = name.to_string_lossy().starts_with('.');
                let built = BUILT.iter().any(|built| name == *built);
                if entry.file_type()?.is_dir() {
                    if !hidden && !built {
                        folders.push(folder.join(&name));
                    }
                } else {
                    files.push(folder.join(&name));
                }
            }
        }
        files.sort();
        Ok(Self { root: root.to_owned(), files })
    }

    /// Files whose name ends like this.
    pub(super) fn with_extension<'a>(&'a self, extension: &'a str) -> impl Iterator<Item = &'a Path> {
        self.files
            .iter()
            .map(PathBuf::as_path)
            .filter(move |path| path.extension().is_some_and(|e| e == extension))
    }

    /// The text of a file; what is not UTF-8 is shown as such and fails no check.
    pub(super) fn text(&self, file: &Path) -> String {
        std::fs::read(self.root.join(file))
            .map_or_else(|_| String::new(), |bytes| String::from_utf8_lossy(&bytes).into_owned())
    }
}
