//! The hostcalls of one run of a callback.

use std::collections::BTreeMap;

/// What one run of a callback asked of the host.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Made {
    /// How often, by import.
    pub hostcalls: BTreeMap<&'static str, u64>,
    /// Those that handed bytes to the guest, for which it had to allocate: what costs most in an Envoy.
    pub returned_bytes: u64,
}

impl Made {
    pub(crate) fn count(&mut self, hostcall: &'static str, bytes_out: usize) {
        *self.hostcalls.entry(hostcall).or_default() += 1;
        self.returned_bytes += u64::from(returns_bytes(hostcall, bytes_out));
    }
}

/// Besides the bytes it writes an address and a size, and a number where there is one.
fn returns_bytes(hostcall: &str, bytes_out: usize) -> bool {
    match hostcall {
        "proxy_get_header_map_value"
        | "proxy_get_header_map_pairs"
        | "proxy_get_buffer_bytes"
        | "proxy_get_property"
        | "proxy_get_configuration"
        | "proxy_call_foreign_function"
        | "proxy_dequeue_shared_queue" => bytes_out > 8,
        "proxy_get_shared_data" | "proxy_get_status" => bytes_out > 12,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_without_bytes_is_none_that_returns_bytes() {
        let mut made = Made::default();
        for (hostcall, bytes_out) in [
            ("proxy_get_property", 0),
            ("proxy_get_property", 8),
            ("proxy_get_property", 9),
            ("proxy_get_shared_data", 12),
            ("proxy_get_shared_data", 13),
            ("clock_time_get", 8),
            ("random_get", 16),
        ] {
            made.count(hostcall, bytes_out);
        }
        assert_eq!((made.returned_bytes, made.hostcalls["proxy_get_property"]), (2, 3));
    }
}
