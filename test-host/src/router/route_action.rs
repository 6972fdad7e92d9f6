//! What a route does with a request that matched it.

use std::time::Duration;

use bytes::Bytes;

use super::RetryPolicy;
use crate::message::HeaderMap;

#[derive(Clone, Debug)]
pub enum RouteAction {
    Forward(Forward),
    DirectResponse(DirectResponse),
    Redirect(Redirect),
}

#[derive(Clone, Debug)]
pub struct Forward {
    pub cluster: ClusterChoice,
    /// For the whole request, all tries included; `None`: no limit. Envoy's default is 15 s.
    pub timeout: Option<Duration>,
    /// The route's own policy; see [`super::SelectedRoute::retry_policy`] for the one in force.
    pub retry_policy: Option<RetryPolicy>,
    /// An attempt that takes longer than the policy's time for a try goes on, with another beside it.
    pub hedge_on_per_try_timeout: bool,
    /// In the place of the connection manager's; zero: none.
    pub idle_timeout: Option<Duration>,
    /// In the place of the connection manager's; zero: none. The plain `timeout` counts for nothing then.
    pub max_stream_duration: Option<Duration>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClusterChoice {
    Name(String),
    /// Lower-case name of the request header that holds the cluster's name.
    Header(String),
    /// Not empty; the weights' sum is not zero.
    Weighted(Vec<WeightedCluster>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeightedCluster {
    pub name: String,
    pub weight: u32,
}

impl ClusterChoice {
    /// The cluster for this request. `random` is the stream's random number, drawn once per stream. `None`: the
    /// header that should name it is absent or not UTF-8.
    pub fn pick<'a>(&'a self, headers: &'a HeaderMap, random: u64) -> Option<&'a str> {
        match self {
            ClusterChoice::Name(name) => Some(name),
            ClusterChoice::Header(header) => {
                let name = headers.first(header.as_bytes())?;
                std::str::from_utf8(name).ok().filter(|name| !name.is_empty())
            }
            ClusterChoice::Weighted(clusters) => {
                let total: u64 = clusters.iter().map(|cluster| u64::from(cluster.weight)).sum();
                let mut left = random.checked_rem(total)?;
                clusters.iter().find_map(|cluster| match left.checked_sub(u64::from(cluster.weight)) {
                    Some(rest) => {
                        left = rest;
                        None
                    }
                    None => Some(cluster.name.as_str()),
                })
            }
        }
    }
}

/// An answer written in the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectResponse {
    /// 200 to 599.
    pub status: u16,
    pub body: Bytes,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// 301, 302, 303, 307 or 308.
    pub status: u16,
    pub scheme: Option<String>,
    pub host: Option<String>,
    pub port: Option<u16>,
    pub path: Option<PathRedirect>,
    pub strip_query: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathRedirect {
    /// Replaces the path; where it has a query of its own, that one replaces the request's.
    Whole(String),
    /// Replaces what the route's prefix or exact path matched.
    Prefix(String),
}

impl Redirect {
    /// The `location` of the answer. `matched` is how many bytes of the path the route's matcher covered; `scheme`,
    /// `authority` and `target` are the request's `:scheme`, `:authority` and `:path`.
    pub fn location(&self, scheme: &[u8], authority: &[u8], target: &[u8], matched: usize) -> Bytes {
        let new_scheme = self.scheme.as_deref().map_or(scheme, str::as_bytes);
        let mut location = [new_scheme, b"://"].concat();
        self.write_authority(&mut location, scheme, authority);
        let query_at = target.iter().position(|byte| *byte == b'?').unwrap_or(target.len());
        let (path, query) = target.split_at(query_at);
        let mut query = if self.strip_query { &b""[..] } else { query };
        match &self.path {
            None => location.extend_from_slice(path),
            Some(PathRedirect::Whole(new)) => {
                if new.contains('?') {
                    query = b"";
                }
                location.extend_from_slice(new.as_bytes());
            }
            Some(PathRedirect::Prefix(new)) => {
                location.extend_from_slice(new.as_bytes());
                location.extend_from_slice(path.get(matched..).unwrap_or_default());
            }
        }
        location.extend_from_slice(query);
        location.into()
    }

    fn write_authority(&self, location: &mut Vec<u8>, old_scheme: &[u8], authority: &[u8]) {
        let (name, port) = split_port(authority);
        match &self.host {
            Some(host) => location.extend_from_slice(host.as_bytes()),
            None => location.extend_from_slice(name),
        }
        match (self.port, port) {
            (Some(port), _) => location.extend_from_slice(format!(":{port}").as_bytes()),
            (None, Some(port)) if self.host.is_none() && !self.drops_default_port(old_scheme, port) => {
                location.push(b':');
                location.extend_from_slice(port);
            }
            _ => {}
        }
    }

    /// A scheme change drops the old scheme's default port.
    fn drops_default_port(&self, old_scheme: &[u8], port: &[u8]) -> bool {
        self.scheme.is_some() && matches!((old_scheme, port), (b"http", b"80") | (b"https", b"443"))
    }
}

fn split_port(authority: &[u8]) -> (&[u8], Option<&[u8]>) {
    match authority.iter().rposition(|byte| *byte == b':') {
        Some(at) if authority.get(at + 1..).is_some_and(|port| port.iter().all(u8::is_ascii_digit)) => {
            (authority.get(..at).unwrap_or_default(), authority.get(at + 1..))
        }
        _ => (authority, None),
    }
}
