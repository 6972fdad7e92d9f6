//! The terminal filter's knowledge: which route a request takes, and what the router answers where it has no upstream.
//! Pure: no chain, no cluster state, no time.

mod metadata;
mod retry_policy;
mod retry_state;
mod route_action;
mod route_match;
mod route_table;
mod router_replies;
mod string_match;

pub use metadata::{Metadata, struct_to_wire};
pub use retry_policy::{BackOff, RetryOn, RetryPolicy};
pub use retry_state::{Retry, RetryState};
pub use route_action::{
    ClusterChoice, DirectResponse, Forward, PathRedirect, Redirect, RouteAction, WeightedCluster,
};
pub use route_match::{HeaderCondition, HeaderMatch, PathMatch, QueryCondition, QueryMatch, RouteMatch};
pub use route_table::{Route, RouteTable, RouteTableError, SelectedRoute, VirtualHost};
pub use router_replies::{ResetReason, ResponseFlag, RouterReply};
pub use string_match::{FullMatch, Pattern, StringMatch};
