//! What a comparison came to.

use std::{collections::BTreeMap, fmt::Write as _};

use serde::Serialize;

/// One difference that no rule lets pass.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// `None`: of the run as a whole.
    pub exchange: Option<String>,
    pub field: String,
    pub envoy: String,
    pub host: String,
}

/// What was compared, and what differs. As JSON: schema `wayside.parity/1`.
#[derive(Clone, Debug, Serialize)]
pub struct Certificate {
    /// Exchanges.
    pub compared: usize,
    /// Those of them that reached the upstream.
    pub reached_upstream: usize,
    /// Metrics of the guests in which something was counted.
    pub metrics: usize,
    /// Names of the exchanges that could not be compared, by reason.
    pub excluded: BTreeMap<String, Vec<String>>,
    /// What was changed in the configuration, for both sides.
    pub changes: Vec<String>,
    /// What the host does not emulate of it.
    pub not_emulated: Vec<String>,
    /// sha256 of each guest, by the filter's name.
    pub guests: BTreeMap<String, String>,
    /// How often each rule was needed.
    pub rules: Vec<String>,
    /// Rules that nothing needed.
    pub unused_rules: Vec<String>,
    /// Those of them that are the subject's own: they excuse nothing any more.
    pub stale_rules: Vec<String>,
    pub differences: Vec<Difference>,
}

impl Certificate {
    /// Nothing differs, and no rule excuses what does not.
    pub fn agrees(&self) -> bool {
        self.differences.is_empty() && self.stale_rules.is_empty()
    }

    /// For people: what differs, and a last line with the counts.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (filter, sha256) in &self.guests {
            let _ = writeln!(text, "guest {filter}: sha256 {sha256}");
        }
        for change in &self.changes {
            let _ = writeln!(text, "changed for both: {change}");
        }
        for part in &self.not_emulated {
            let _ = writeln!(text, "not emulated: {part}");
        }
        for (why, names) in &self.excluded {
            let _ = writeln!(text, "left out: {} ({why})", names.len());
        }
        for rule in &self.stale_rules {
            let _ = writeln!(text, "a rule that excuses nothing: {rule}");
        }
        for difference in &self.differences {
            let Difference { exchange, field, envoy, host } = difference;
            let place = exchange.as_ref().map(|exchange| format!("{exchange}: ")).unwrap_or_default();
            let _ = writeln!(text, "{place}{field}\n    Envoy: {envoy}\n    host:  {host}");
        }
        let _ = writeln!(
            text,
            "compared {} exchanges, {} metrics, {} rules, {} differences",
            self.compared,
            self.metrics,
            self.rules.len(),
            self.differences.len()
        );
        text
    }

    /// For programs.
    ///
    /// # Errors
    /// The writer's.
    pub fn write_json(&self, to: impl std::io::Write) -> std::io::Result<()> {
        #[derive(Serialize)]
        struct Document<'a> {
            schema: &'static str,
            agrees: bool,
            #[serde(flatten)]
            certificate: &'a Certificate,
        }
        let document = Document { schema: "wayside.parity/1", agrees: self.agrees(), certificate: self };
        serde_json::to_writer_pretty(to, &document).map_err(Into::into)
    }
}

/// In a sentence.
pub(super) fn excluded(excluded: &BTreeMap<&'static str, Vec<String>>) -> String {
    if excluded.is_empty() {
        return "the recording holds none".to_owned();
    }
    let reasons = excluded.iter().map(|(why, names)| format!("{} left out ({why})", names.len()));
    reasons.collect::<Vec<_>>().join("; ")
}
