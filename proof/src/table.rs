//! Tables for READMEs, and where they are put.

use std::{fmt::Write as _, path::Path};

use anyhow::Context as _;

/// What a command prints, and writes between its markers.
#[derive(Clone, Debug)]
pub struct Table {
    /// The command that reproduces it, and what of it is not in the rows.
    pub caption: String,
    pub columns: Vec<String>,
    pub rows: Vec<Vec<String>>,
}

impl Table {
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut text = format!("{}\n\n", self.caption);
        let mut line = |cells: &[String]| {
            let _ = writeln!(text, "| {} |", cells.join(" | "));
        };
        line(&self.columns);
        line(&vec!["---".to_owned(); self.columns.len()]);
        self.rows.iter().for_each(|row| line(row));
        text
    }

    /// Puts the table between `<!-- NAME -->` and `<!-- /NAME -->`.
    ///
    /// # Errors
    /// The file cannot be read or written, or lacks the markers.
    pub fn write(&self, file: &Path, name: &str) -> anyhow::Result<()> {
        let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
        let between = between(&text, name, &self.markdown());
        let new = between.with_context(|| format!("{}: found no markers of {name}", file.display()))?;
        std::fs::write(file, new).with_context(|| file.display().to_string())
    }
}

fn between(text: &str, name: &str, new: &str) -> Option<String> {
    let (begins, ends) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
    let (before, rest) = text.split_once(&begins)?;
    let (_, after) = rest.split_once(&ends)?;
    Some(format!("{before}{begins}{new}{ends}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_markers_is_written_anew() {
        let text = "one\n<!-- a -->\nold\n<!-- /a -->\ntwo\n";
        let new = between(text, "a", "new\n").expect("there are markers");
        assert_eq!(new, "one\n<!-- a -->\nnew\n<!-- /a -->\ntwo\n");
        assert_eq!(between(text, "b", "new\n"), None);
    }
}
