//! The report for machines: JSON of the schema in [`super::SCHEMA`], the same bytes for the same report.

use std::io::{self, Write};

use super::Report;

impl Report {
    /// # Errors
    /// Those of the writer.
    pub fn write_json(&self, mut to: impl Write) -> io::Result<()> {
        serde_json::to_writer_pretty(&mut to, self)?;
        to.write_all(b"\n")
    }
}
