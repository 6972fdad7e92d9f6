//! Requests under Istio's names and labels, so that dashboards made for it go on working: "Istio Standard Metrics", and
//! `contrib/istio/filters/http/istio_stats/source/istio_stats.cc` of Envoy.

/// Every label a series may have, in the order in which they stand in its name. Of Istio's those that a proxy knows by itself: of the two
/// workloads its own.
pub const LABELS: [&str; 15] = [
    "reporter",
    "source_workload",
    "source_workload_namespace",
    "source_app",
    "source_principal",
    "destination_workload",
    "destination_workload_namespace",
    "destination_app",
    "destination_service",
    "destination_service_name",
    "request_protocol",
    "response_code",
    "response_flags",
    "grpc_response_status",
    "connection_security_policy",
];

const UNKNOWN: &[u8] = b"unknown";

/// Who this proxy works for: `WORKLOAD_NAME`, `NAMESPACE` and `LABELS.app` of its node's metadata.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Workload {
    pub name: Vec<u8>,
    pub namespace: Vec<u8>,
    pub app: Vec<u8>,
}

/// Who tells of a request: the side it came from, or the side it went to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reporter {
    Source,
    Destination,
}

impl Reporter {
    /// Envoy's `xds.listener_direction`: 1 is inbound. A listener that does not say is a gateway's, which sends.
    pub const fn of_direction(direction: Option<u64>) -> Reporter {
        match direction {
            Some(1) => Reporter::Destination,
            _ => Reporter::Source,
        }
    }
}

/// What is known of a finished request, as far as labels go.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    pub reporter: Reporter,
    pub own: &'a Workload,
    pub cluster: &'a [u8],
    pub is_grpc: bool,
    /// Three digits; `None` when nobody answered
    pub status: Option<&'a [u8]>,
    /// Of gRPC requests
    pub grpc_status: &'a [u8],
    pub response_flags: u64,
    /// The client has shown a certificate
    pub mtls: bool,
    /// The URI name in that certificate
    pub peer_principal: &'a [u8],
}

impl<'a> Facts<'a> {
    /// Values in the order of [`LABELS`]; those that were not chosen are empty. `flags` is room for the flags' text.
    pub fn labels<'b>(
        &'b self,
        chosen: [bool; LABELS.len()],
        flags: &'b mut Vec<u8>,
    ) -> [&'b [u8]; LABELS.len()]
    where
        'a: 'b,
    {
        let destination = self.reporter == Reporter::Destination;
        let or_unknown = |text: &'b [u8]| if text.is_empty() { UNKNOWN } else { text };
        let own = |text: &'b [u8], ours: bool| if ours { or_unknown(text) } else { UNKNOWN };
        write_flags(self.response_flags, flags);
        let (service, name) = service(self.cluster);
        let principal = self.peer_principal.strip_prefix(b"spiffe://").unwrap_or(self.peer_principal);
        let policy: &[u8] = match (destination, self.mtls) {
            (false, _) => UNKNOWN,
            (true, true) => b"mutual_tls",
            (true, false) => b"none",
        };
        let mut values: [&'b [u8]; LABELS.len()] = [
            if destination { b"destination" } else { b"source" },
            own(&self.own.name, !destination),
            own(&self.own.namespace, !destination),
            own(&self.own.app, !destination),
            own(principal, destination),
            own(&self.own.name, destination),
            own(&self.own.namespace, destination),
            own(&self.own.app, destination),
            or_unknown(service),
            or_unknown(name),
            if self.is_grpc { b"grpc" } else { b"http" },
            self.status.unwrap_or(b"0"),
            flags,
            self.grpc_status,
            policy,
        ];
        for (value, chosen) in values.iter_mut().zip(chosen) {
            if !chosen {
                *value = b"";
            }
        }
        values
    }
}

/// The host and its first name, of a cluster that Istio named (`outbound|80|v1|reviews.shop.svc.cluster.local`); else the cluster.
fn service(cluster: &[u8]) -> (&[u8], &[u8]) {
    let mut parts = cluster.splitn(4, |byte| *byte == b'|');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (_, _, _, Some(host)) if !host.is_empty() => {
            (host, host.split(|byte| *byte == b'.').next().unwrap_or(host))
        }
        _ => (cluster, cluster),
    }
}

/// Envoy's response flags by bit (`envoy/stream_info/stream_info.h`), as access logs write them.
const FLAGS: [&str; 30] = [
    "LH", "UH", "UT", "LR", "UR", "UF", "UC", "UO", "NR", "DI", "FI", "RL", "UAEX", "RLSE", "DC", "URX",
    "SI", "IH", "DPE", "UMSDR", "RFCF", "NFCF", "DT", "UPE", "NC", "OM", "DF", "DO", "DR", "UDO",
];

/// `UF,URX`; `-` for none.
pub fn write_flags(flags: u64, text: &mut Vec<u8>) {
    text.clear();
    for (bit, name) in (0_u32..).zip(FLAGS) {
        if flags.checked_shr(bit).unwrap_or(0) & 1 == 1 {
            if !text.is_empty() {
                text.push(b',');
            }
            text.extend_from_slice(name.as_bytes());
        }
    }
    if text.is_empty() {
        text.push(b'-');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(facts: Facts<'_>) -> Vec<String> {
        let mut flags = Vec::new();
        let values = facts.labels([true; LABELS.len()], &mut flags);
        values.iter().map(|value| String::from_utf8(value.to_vec()).unwrap()).collect()
    }

    #[test]
    fn each_side_knows_its_own_workload() {
        let own =
            Workload { name: b"reviews-v1".to_vec(), namespace: b"shop".to_vec(), app: b"reviews".to_vec() };
        let facts = Facts {
            reporter: Reporter::Source,
            own: &own,
            cluster: b"outbound|9080|v2|ratings.shop.svc.cluster.local",
            is_grpc: false,
            status: Some(b"503"),
            grpc_status: b"",
            response_flags: 1 << 5 | 1 << 15,
            mtls: false,
            peer_principal: b"",
        };
        let unknown = "unknown";
        assert_eq!(
            labels(facts),
            [
                "source",
                "reviews-v1",
                "shop",
                "reviews",
                unknown,
                unknown,
                unknown,
                unknown,
                "ratings.shop.svc.cluster.local",
                "ratings",
                "http",
                "503",
                "UF,URX",
                "",
                unknown
            ]
        );
        let inbound = Facts {
            reporter: Reporter::Destination,
            cluster: b"inbound|9080||",
            is_grpc: true,
            status: None,
            grpc_status: b"14",
            response_flags: 0,
            mtls: true,
            peer_principal: b"spiffe://cluster.local/ns/shop/sa/web",
            ..facts
        };
        assert_eq!(
            labels(inbound),
            [
                "destination",
                unknown,
                unknown,
                unknown,
                "cluster.local/ns/shop/sa/web",
                "reviews-v1",
                "shop",
                "reviews",
                "inbound|9080||",
                "inbound|9080||",
                "grpc",
                "0",
                "-",
                "14",
                "mutual_tls"
            ]
        );
    }

    #[test]
    fn a_listener_that_is_not_inbound_sends() {
        let reporters = [None, Some(0), Some(1), Some(2)].map(Reporter::of_direction);
        assert_eq!(reporters, [Reporter::Source, Reporter::Source, Reporter::Destination, Reporter::Source]);
    }

    #[test]
    fn what_was_not_chosen_is_empty() {
        let (own, mut flags) = (Workload::default(), Vec::new());
        let facts = Facts {
            reporter: Reporter::Source,
            own: &own,
            cluster: b"books",
            is_grpc: false,
            status: Some(b"200"),
            grpc_status: b"",
            response_flags: 0,
            mtls: false,
            peer_principal: b"",
        };
        let mut chosen = [false; LABELS.len()];
        chosen[9] = true;
        let values = facts.labels(chosen, &mut flags);
        assert_eq!(values.iter().filter(|value| !value.is_empty()).collect::<Vec<_>>(), [&b"books"]);
    }
}
