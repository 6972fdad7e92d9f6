//! Virtual hosts and their routes, and which of them a request takes.

use std::{collections::HashMap, sync::Arc};

use super::{ClusterChoice, Forward, Metadata, RetryPolicy, RouteAction, RouteMatch};
use crate::message::HeaderMap;

/// A route configuration (envoy/config/route/v3/route.proto). Lookups by host are by table, routes in order.
#[derive(Clone, Debug, Default)]
pub struct RouteTable {
    pub name: String,
    ignore_port: bool,
    virtual_hosts: Vec<Arc<VirtualHost>>,
    exact: HashMap<String, usize>,
    /// `*.example.com`, without the star; longest first.
    suffixes: Vec<(String, usize)>,
    /// `example.*`, without the star; longest first.
    prefixes: Vec<(String, usize)>,
    any: Option<usize>,
}

#[derive(Clone, Debug, Default)]
pub struct VirtualHost {
    pub name: String,
    /// `name`, `*.suffix`, `prefix.*` or `*`; compared without regard to case.
    pub domains: Vec<String>,
    /// First match wins.
    pub routes: Vec<Arc<Route>>,
    /// For routes that have none of their own.
    pub retry_policy: Option<RetryPolicy>,
    /// The router sends `x-envoy-attempt-count` upstream.
    pub include_request_attempt_count: bool,
    /// The router sends `x-envoy-attempt-count` to the client.
    pub include_attempt_count_in_response: bool,
    /// For routes that have none of their own.
    pub buffer_limit: Option<usize>,
    pub metadata: Metadata,
}

#[derive(Clone, Debug)]
pub struct Route {
    /// May be empty; need not be unique.
    pub name: String,
    pub matches: RouteMatch,
    pub action: RouteAction,
    /// How many bytes the router may hold for further tries. Where it is more than the listener's limit, filters may hold as
    /// much; where it is less, it counts for nothing with them.
    pub buffer_limit: Option<usize>,
    pub metadata: Metadata,
}

/// Two virtual hosts that claim the same requests.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouteTableError {
    #[error("domain {domain:?} is claimed by virtual hosts {first:?} and {second:?}")]
    DuplicateDomain { domain: String, first: String, second: String },
    #[error("virtual host {0:?} has no domain")]
    NoDomain(String),
}

/// The route a request took, with the virtual host it belongs to.
#[derive(Clone, Debug)]
pub struct SelectedRoute {
    pub virtual_host: Arc<VirtualHost>,
    pub route: Arc<Route>,
}

impl SelectedRoute {
    /// The route's policy, else its virtual host's.
    pub fn retry_policy(&self) -> Option<&RetryPolicy> {
        let own = match &self.route.action {
            RouteAction::Forward(forward) => forward.retry_policy.as_ref(),
            RouteAction::DirectResponse(_) | RouteAction::Redirect(_) => None,
        };
        own.or(self.virtual_host.retry_policy.as_ref())
    }

    /// The route's limit, else its virtual host's.
    pub fn buffer_limit(&self) -> Option<usize> {
        self.route.buffer_limit.or(self.virtual_host.buffer_limit)
    }

    /// The cluster, where every request of this route goes to the same.
    pub fn named_cluster(&self) -> Option<&str> {
        match &self.route.action {
            RouteAction::Forward(Forward { cluster: ClusterChoice::Name(name), .. }) => Some(name),
            _ => None,
        }
    }

    /// The cluster the request would go to; see [`ClusterChoice::pick`].
    pub fn cluster<'a>(&'a self, headers: &'a HeaderMap, random: u64) -> Option<&'a str> {
        match &self.route.action {
            RouteAction::Forward(forward) => forward.cluster.pick(headers, random),
            RouteAction::DirectResponse(_) | RouteAction::Redirect(_) => None,
        }
    }
}

impl VirtualHost {
    /// The first of its routes that matches a request with these headers.
    pub fn select(self: &Arc<Self>, headers: &HeaderMap) -> Option<SelectedRoute> {
        let route = self.matching(headers)?;
        Some(SelectedRoute { virtual_host: Arc::clone(self), route: Arc::clone(route) })
    }

    /// As [`Self::select`]: the route alone.
    pub fn matching(&self, headers: &HeaderMap) -> Option<&Arc<Route>> {
        self.routes.iter().find(|route| route.matches.is_match(headers))
    }
}

impl RouteTable {
    /// `ignore_port`: the port in a request's `:authority` plays no part in choosing the virtual host.
    ///
    /// # Errors
    /// Two equal domains (without regard to case), or a virtual host without any.
    pub fn new(
        name: impl Into<String>,
        ignore_port: bool,
        virtual_hosts: Vec<VirtualHost>,
    ) -> Result<Self, RouteTableError> {
        let mut table = RouteTable { name: name.into(), ignore_port, ..RouteTable::default() };
        for virtual_host in virtual_hosts {
            table.add(virtual_host)?;
        }
        table.suffixes.sort_by_key(|(domain, _)| std::cmp::Reverse(domain.len()));
        table.prefixes.sort_by_key(|(domain, _)| std::cmp::Reverse(domain.len()));
        Ok(table)
    }

    pub fn virtual_hosts(&self) -> &[Arc<VirtualHost>] {
        &self.virtual_hosts
    }

    /// All clusters that some route names.
    pub fn named_clusters(&self) -> impl Iterator<Item = &str> {
        self.virtual_hosts.iter().flat_map(|host| &host.routes).flat_map(|route| match &route.action {
            RouteAction::Forward(forward) => match &forward.cluster {
                ClusterChoice::Name(name) => vec![name.as_str()],
                ClusterChoice::Weighted(clusters) => clusters.iter().map(|c| c.name.as_str()).collect(),
                ClusterChoice::Header(_) => Vec::new(),
            },
            RouteAction::DirectResponse(_) | RouteAction::Redirect(_) => Vec::new(),
        })
    }

    /// The route for a request with these headers, pseudo headers included. `None`: no virtual host, or none of its
    /// routes matches; a less specific virtual host is not tried then.
    pub fn select(&self, headers: &HeaderMap) -> Option<SelectedRoute> {
        self.virtual_host_of(headers)?.select(headers)
    }

    /// The virtual host of a request with these headers, whether or not one of its routes matches.
    pub fn virtual_host_of(&self, headers: &HeaderMap) -> Option<&Arc<VirtualHost>> {
        self.virtual_host(headers.first(b":authority").map_or(&b""[..], |host| host))
    }

    /// Exact name, then the longest `*.suffix`, then the longest `prefix.*`, then `*`. A star stands for at least
    /// one byte.
    fn virtual_host(&self, authority: &[u8]) -> Option<&Arc<VirtualHost>> {
        let authority = if self.ignore_port { without_port(authority) } else { authority };
        if self.exact.is_empty() && self.suffixes.is_empty() && self.prefixes.is_empty() {
            return self.virtual_hosts.get(self.any?);
        }
        let host = String::from_utf8_lossy(authority).to_ascii_lowercase();
        let by_exact = || self.exact.get(&host);
        let longer = |domain: &str| host.len() > domain.len();
        let by_suffix =
            || self.suffixes.iter().find(|(d, _)| longer(d) && host.ends_with(d)).map(|(_, at)| at);
        let by_prefix =
            || self.prefixes.iter().find(|(d, _)| longer(d) && host.starts_with(d)).map(|(_, at)| at);
        let at = by_exact().or_else(by_suffix).or_else(by_prefix).or(self.any.as_ref())?;
        self.virtual_hosts.get(*at)
    }

    fn add(&mut self, virtual_host: VirtualHost) -> Result<(), RouteTableError> {
        let at = self.virtual_hosts.len();
        if virtual_host.domains.is_empty() {
            return Err(RouteTableError::NoDomain(virtual_host.name));
        }
        for written in &virtual_host.domains {
            let domain = written.to_ascii_lowercase();
            let before = if domain == "*" {
                self.any.replace(at)
            } else if let Some(suffix) = domain.strip_prefix('*') {
                insert_wildcard(&mut self.suffixes, suffix, at)
            } else if let Some(prefix) = domain.strip_suffix('*') {
                insert_wildcard(&mut self.prefixes, prefix, at)
            } else {
                self.exact.insert(domain, at)
            };
            if let Some(before) = before {
                let first = self.virtual_hosts.get(before).unwrap_or(&Arc::default()).name.clone();
                // The same virtual host may not repeat a domain either; it is not in the list yet.
                let first = if before == at { virtual_host.name.clone() } else { first };
                let domain = written.clone();
                return Err(RouteTableError::DuplicateDomain { domain, first, second: virtual_host.name });
            }
        }
        self.virtual_hosts.push(Arc::new(virtual_host));
        Ok(())
    }
}

fn insert_wildcard(list: &mut Vec<(String, usize)>, domain: &str, at: usize) -> Option<usize> {
    let before = list.iter().find(|(known, _)| known == domain).map(|(_, at)| *at);
    list.push((domain.to_owned(), at));
    before
}

/// `host:port` without its port; an IPv6 address in brackets keeps its colons.
fn without_port(authority: &[u8]) -> &[u8] {
    match authority.iter().rposition(|byte| *byte == b':') {
        Some(at) if !authority.get(at..).is_some_and(|rest| rest.contains(&b']')) => {
            authority.get(..at).unwrap_or_default()
        }
        _ => authority,
    }
}
