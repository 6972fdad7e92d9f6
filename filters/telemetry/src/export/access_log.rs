//! The access log: which requests, which fields, and where to.

use wayside_otlp::{self as otlp, Encoding, LogRecord};

use super::span::told;
use crate::attribute::Attribute;
use crate::observation::{Finished, Message};

/// Where lines go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sink {
    /// Envoy's log, at `info`
    Log,
    /// The collector, as log records
    Otlp,
}

/// Which requests have a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum When {
    #[default]
    All,
    /// Those that failed: `error.type`, or the span's status
    Errors,
    /// Those that have a span
    Sampled,
}

/// One field of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    Known(Attribute),
    /// Every line of a header
    Header {
        of: Message,
        /// `http.request.header.accept`
        field: String,
        /// In lower case
        name: String,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessLog {
    pub sink: Sink,
    pub when: When,
    pub fields: Vec<Field>,
}

/// A text in the name of a header that holds what proves who somebody is, or is likely to.
const SECRET: [&str; 20] = [
    "api-key",
    "api_key",
    "apikey",
    "assertion",
    "auth",
    "cert",
    "cookie",
    "cred",
    "jwt",
    "key",
    "location",
    "pass",
    "private",
    "pwd",
    "referer",
    "secret",
    "session",
    "sid",
    "signature",
    "token",
];

/// Whether a header of this name is not told unless somebody insists.
pub(super) fn may_be_secret(name: &str) -> bool {
    SECRET.iter().any(|part| name.contains(part))
}

impl Field {
    /// A field of the closed list, or a header.
    pub(super) fn named(text: &str) -> Option<Field> {
        if let Some(attribute) = Attribute::named(text) {
            return Some(Field::Known(attribute));
        }
        let (of, name) = match text.strip_prefix("http.request.header.") {
            Some(name) => (Message::Request, name),
            None => (Message::Response, text.strip_prefix("http.response.header.")?),
        };
        let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
        let good = (1..=64).contains(&name.len()) && name.bytes().all(is_name);
        good.then(|| Field::Header { of, field: text.to_owned(), name: name.to_owned() })
    }

    /// Whether it may tell a secret.
    pub(super) fn may_be_secret(&self) -> bool {
        match self {
            Field::Known(attribute) => *attribute == Attribute::Query,
            Field::Header { name, .. } => may_be_secret(name),
        }
    }
}

impl AccessLog {
    pub(super) fn tells(&self, finished: &Finished<'_>) -> bool {
        match self.when {
            When::All => true,
            When::Errors => finished.is_error() || !finished.error_type.is_empty(),
            When::Sampled => finished.sampling.is_kept(),
        }
    }

    /// One line of JSON.
    pub(super) fn line(&self, finished: &Finished<'_>) -> Vec<u8> {
        self.with(finished, otlp::line)
    }

    pub(super) fn record(&self, finished: &Finished<'_>, encoding: Encoding) -> Vec<u8> {
        let ids = finished.ids.as_ref();
        self.with(finished, |attributes| {
            let record = LogRecord {
                time_ns: finished.end_ns,
                observed_ns: finished.end_ns,
                is_error: finished.is_error(),
                body: &finished.name(),
                attributes,
                trace_id: ids.map(|ids| ids.trace_id).unwrap_or_default(),
                span_id: ids.map(|ids| ids.span_id).unwrap_or_default(),
                flags: ids.map_or(0, |ids| ids.flags),
            };
            record.encode(encoding)
        })
    }

    fn with<R>(&self, finished: &Finished<'_>, tell: impl FnOnce(&[otlp::Attribute<'_>]) -> R) -> R {
        let lines: Vec<Vec<&[u8]>> = self.fields.iter().map(|field| field.lines(finished)).collect();
        let attributes: Vec<otlp::Attribute<'_>> =
            self.fields.iter().zip(&lines).filter_map(|(field, lines)| field.told(finished, lines)).collect();
        tell(&attributes)
    }
}

impl Field {
    fn lines<'a>(&self, finished: &'a Finished<'_>) -> Vec<&'a [u8]> {
        let Field::Header { of, name, .. } = self else { return Vec::new() };
        let known = finished.headers.iter().filter(|line| line.of == *of && line.name == name.as_bytes());
        known.map(|line| line.value).collect()
    }

    fn told<'a>(&'a self, finished: &'a Finished<'_>, lines: &'a [&'a [u8]]) -> Option<otlp::Attribute<'a>> {
        match (self, lines) {
            (Field::Known(attribute), _) => told(finished, *attribute),
            (Field::Header { .. }, []) => None,
            (Field::Header { field, .. }, lines) => {
                Some(otlp::Attribute::new(field, otlp::Value::Texts(lines)))
            }
        }
    }
}
