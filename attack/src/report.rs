//! What came of a run, as a table.

use std::fmt;

use crate::attacks::{Must, Skipped};

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    AsItMust,
    /// It got in, and must not.
    LetIn,
    /// It was refused, and is good.
    KeptOut,
    /// What it smuggled came to the upstream.
    Leaked,
    /// An error of the gateway's own, or no answer in time.
    Broke,
    /// It passed as it must; what came to the upstream cannot be seen.
    NotJudged,
}

impl Verdict {
    const WRONG: [Verdict; 4] = [Verdict::LetIn, Verdict::KeptOut, Verdict::Leaked, Verdict::Broke];

    #[must_use]
    pub fn is_wrong(self) -> bool {
        Verdict::WRONG.contains(&self)
    }

    const fn name(self) -> &'static str {
        match self {
            Verdict::AsItMust => "as it must",
            Verdict::LetIn => "LET IN",
            Verdict::KeptOut => "KEPT OUT",
            Verdict::Leaked => "LEAKED",
            Verdict::Broke => "BROKE",
            Verdict::NotJudged => "not judged",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Expected {
    Pass,
    Refuse,
    Either,
}

impl From<Must> for Expected {
    fn from(must: Must) -> Self {
        match must {
            Must::Pass => Expected::Pass,
            Must::Refuse => Expected::Refuse,
            Must::Either => Expected::Either,
        }
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Expected::Pass => "pass",
            Expected::Refuse => "refuse",
            Expected::Either => "either",
        })
    }
}

/// One attack and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Row {
    pub group: &'static str,
    pub name: String,
    pub must: Expected,
    pub rule: &'static str,
    /// The status, or how it ended without one.
    pub seen: String,
    pub verdict: Verdict,
}

/// What was not sent.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct NotSent {
    pub group: &'static str,
    pub name: String,
    pub why: String,
}

impl From<Skipped> for NotSent {
    fn from(skipped: Skipped) -> Self {
        NotSent { group: skipped.group.name(), name: skipped.name, why: skipped.why }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Report {
    pub rows: Vec<Row>,
    pub skipped: Vec<NotSent>,
}

impl Report {
    /// What is not as it must be.
    pub fn wrong(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| row.verdict.is_wrong())
    }

    fn count(&self, verdict: Verdict) -> usize {
        self.rows.iter().filter(|row| row.verdict == verdict).count()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.rows.iter().map(|row| row.name.chars().count()).max().unwrap_or_default().min(70);
        let mut group = "";
        for row in &self.rows {
            if row.group != group {
                group = row.group;
                writeln!(f, "{group}")?;
            }
            let Row { name, must, seen, verdict, rule, .. } = row;
            writeln!(f, "  {name:width$}  must {must:6}  {seen:8}  {verdict:10}  {rule}")?;
        }
        if !self.skipped.is_empty() {
            writeln!(f, "not sent")?;
        }
        for NotSent { group, name, why } in &self.skipped {
            writeln!(f, "  {group}, {name}: {why}")?;
        }
        let sent = self.rows.len();
        write!(f, "{sent} sent: {} as they must", self.count(Verdict::AsItMust))?;
        for (verdict, what) in [
            (Verdict::LetIn, "let in"),
            (Verdict::KeptOut, "kept out"),
            (Verdict::Leaked, "leaked"),
            (Verdict::Broke, "broke"),
            (Verdict::NotJudged, "not judged: the upstream does not answer with the headers it is sent"),
        ] {
            match self.count(verdict) {
                0 if !verdict.is_wrong() => {}
                count => write!(f, ", {count} {what}")?,
            }
        }
        writeln!(f, "; {} not sent", self.skipped.len())
    }
}
