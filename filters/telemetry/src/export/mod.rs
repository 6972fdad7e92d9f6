//! What is told of finished requests elsewhere: spans and log records to a collector, lines to Envoy's log.

mod access_log;
mod config;
mod counters;
mod outbox;
#[cfg(all(feature = "schema", not(target_arch = "wasm32")))]
pub(crate) mod schema;
mod span;

use std::rc::Rc;

use wayside_otlp::{Encoding, Signal};
use wayside_sdk::{ConfigErrors, Ending, Environment, Init, LogCx};

use crate::observation::{Finished, Kind, Sampling};

pub use self::access_log::{AccessLog, Field, Sink, When};
pub use self::config::{Collector, RawAccessLog, RawExport, Settings, check};
use self::counters::Counters;
use self::outbox::Outbox;

/// Tells of finished requests as [`Settings`] say.
#[derive(Debug)]
pub struct Exporter {
    spans: Option<Rc<Outbox>>,
    records: Option<Rc<Outbox>>,
    encoding: Encoding,
    access_log: Option<AccessLog>,
}

impl Exporter {
    /// `prefix` is that of the filter's own metrics.
    ///
    /// # Errors
    /// A header's value is in no environment variable, or the host refuses a metric or the tick.
    pub fn new(settings: Settings, prefix: &str, init: &mut Init) -> Result<Exporter, ConfigErrors> {
        let Settings { collector, access_log } = settings;
        let Some(collector) = collector else {
            return Ok(Exporter { spans: None, records: None, encoding: Encoding::default(), access_log });
        };
        let headers = collector.headers(&Environment::of_vm().unwrap_or_default())?;
        // They are few, and books with a row `__overflow__` would not balance.
        let limit = init.series_limit(prefix, Counters::SERIES)?;
        let counters = Rc::new(Counters::new(init, prefix, &limit));
        let mut open = |signal| {
            let wanted = collector.signals.contains(&signal);
            wanted.then(|| Outbox::open(signal, &collector, headers.clone(), &counters, init)).transpose()
        };
        let exporter = Exporter {
            spans: open(Signal::Traces)?,
            records: open(Signal::Logs)?,
            encoding: collector.origin.encoding(),
            access_log,
        };
        exporter.end_with(init);
        Ok(exporter)
    }

    /// What waits is sent before this configuration is forgotten, if it can be.
    fn end_with(&self, init: &mut Init) {
        let outboxes: Vec<Rc<Outbox>> = self.spans.iter().chain(&self.records).cloned().collect();
        for outbox in outboxes {
            init.at_end(move |root, rest| if outbox.end(root, rest) { Ending::Now } else { Ending::Later });
        }
    }

    /// Whether anything is told of a request that was sampled so.
    pub fn is_wanted(&self, sampling: Sampling) -> bool {
        self.access_log.is_some() || self.spans.is_some() && sampling.is_kept()
    }

    /// Whether requests that are sampled become spans.
    pub const fn tells_spans(&self) -> bool {
        self.spans.is_some()
    }

    /// Tells of one request in its `on_log`, or of one attempt, which has none: then what is full waits for the timer.
    pub fn finished(&self, finished: &Finished<'_>, log: Option<&LogCx>) {
        if let Some(outbox) = &self.spans
            && finished.sampling.is_kept()
            && let Some(span) = span::encode(finished, self.encoding)
        {
            outbox.record(span, span::weight(finished), log);
        }
        let Some(access_log) = self.access_log.as_ref().filter(|_| finished.kind == Kind::Server) else {
            return;
        };
        if !access_log.tells(finished) {
            return;
        }
        match (access_log.sink, &self.records) {
            (Sink::Otlp, Some(outbox)) => {
                outbox.record(access_log.record(finished, self.encoding), span::weight(finished), log);
            }
            _ => wayside_sdk::log::plain(wayside_sdk::log::Level::Info, &access_log.line(finished)),
        }
    }
}

#[cfg(test)]
mod tests;
