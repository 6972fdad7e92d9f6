//! Four jobs of a real filter each, small: what the benchmark's guests are put together from. 14 hostcalls when fused.

use std::time::SystemTime;

use proxy_wasm::{
    hostcalls,
    types::{MapType, MetricType},
};

const KEY: &[u8] = b"k-3f9a1c7e5b2d4860";
const BUDGET: &str = "budget";

fn request_header(name: &str) -> Option<Vec<u8>> {
    hostcalls::get_map_value_bytes(MapType::HttpRequestHeaders, name).unwrap_or_default()
}

fn set_request_header(name: &str, value: &[u8]) {
    let _ = hostcalls::set_map_value_bytes(MapType::HttpRequestHeaders, name, Some(value));
}

/// The response's status: one read, which fused jobs share.
pub(crate) fn status() -> u16 {
    let status = hostcalls::get_map_value_bytes(MapType::HttpResponseHeaders, ":status");
    let digits = status.ok().flatten().unwrap_or_default();
    digits.iter().fold(0, |number, digit| number * 10 + u16::from(digit.wrapping_sub(b'0')))
}

/// Reads a key, compares it in constant time, says who the client is.
pub(crate) fn authenticate() {
    let given = request_header("x-api-key").unwrap_or_default();
    let differs = given.iter().zip(KEY).fold(0, |sum, (a, b)| sum | (a ^ b));
    let known = differs == 0 && given.len() == KEY.len();
    set_request_header("x-client", if known { b"shop" } else { b"nobody" });
}

/// Reads what the caller allows, and passes on what is left of it.
pub(crate) fn shorten_timeout() {
    let given = request_header("x-timeout-ms").unwrap_or_default();
    let allowed = std::str::from_utf8(&given).ok().and_then(|text| text.parse::<u64>().ok());
    set_request_header("x-timeout-ms", allowed.unwrap_or(1_000).saturating_sub(5).to_string().as_bytes());
}

/// Counts a request in shared data, under compare-and-swap, and says whether it may be tried again.
pub(crate) fn take_from_budget() {
    let (kept, cas) = hostcalls::get_shared_data(BUDGET).unwrap_or_default();
    let requests = kept.and_then(|bytes| Some(u64::from_le_bytes(bytes.try_into().ok()?))).unwrap_or(0) + 1;
    let kept = hostcalls::set_shared_data(BUDGET, Some(&requests.to_le_bytes()), cas);
    set_request_header("x-retries", if kept.is_ok() { b"1" } else { b"0" });
}

/// Metrics of every request.
pub(crate) struct Telemetry {
    requests: u32,
    path_bytes: u32,
    durations: u32,
    began: Option<SystemTime>,
}

#[derive(Clone, Copy)]
pub(crate) struct Metrics {
    requests: u32,
    path_bytes: u32,
    durations: u32,
}

impl Metrics {
    pub(crate) fn define() -> Self {
        let define = |kind, name| hostcalls::define_metric(kind, name).unwrap_or_default();
        Metrics {
            requests: define(MetricType::Counter, "requests"),
            path_bytes: define(MetricType::Counter, "path_bytes"),
            durations: define(MetricType::Histogram, "duration_us"),
        }
    }
}

impl Telemetry {
    pub(crate) fn new(Metrics { requests, path_bytes, durations }: Metrics) -> Self {
        Telemetry { requests, path_bytes, durations, began: None }
    }

    /// A clock and a read.
    pub(crate) fn begin(&mut self) {
        self.began = hostcalls::get_current_time().ok();
        let path = request_header(":path").unwrap_or_default();
        let _ = hostcalls::increment_metric(self.path_bytes, path.len() as i64);
    }

    /// A clock, a counter and a histogram; the status is read by [`status`].
    pub(crate) fn end(&self, status: u16) {
        let _ = hostcalls::increment_metric(self.requests, i64::from(status / 100));
        let now = hostcalls::get_current_time().ok();
        let took = now.zip(self.began).and_then(|(now, began)| now.duration_since(began).ok());
        let _ = hostcalls::record_metric(self.durations, took.unwrap_or_default().as_micros() as u64);
    }
}
