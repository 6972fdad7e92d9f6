//! A small online bookshop of five services, made to have its traffic recorded. Modules in reading order.
//!
//! ```text
//! client ─► storefront ─► catalog ─► stock (gRPC)
//!               │
//!               ├──────► reviews ─► ratings
//!               └──────► stock (gRPC, the same service forwarded)
//! ```
//!
//! Every service calls the next only through the outbound listener of its own sidecar, and names it by authority
//! (`http://catalog/…`). What a service does depends on the request alone: see [`fault`].

mod fault;
mod outbound;
mod stock_api;
mod text;

mod catalog;
mod ratings;
mod reviews;
mod stock;
mod storefront;

use std::{fmt, net::SocketAddr};

use axum::{Router, middleware};
use tokio::net::TcpListener;

pub use fault::{CASE as CASE_HEADER, HEADER as FAULT_HEADER};

/// One service of the shop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Service {
    Storefront,
    Catalog,
    Reviews,
    Ratings,
    Stock,
}

impl Service {
    /// Those called come before those that call them, so that a mesh can be started in this order.
    pub const LEAVES_FIRST: [Service; 5] =
        [Service::Stock, Service::Ratings, Service::Catalog, Service::Reviews, Service::Storefront];

    pub fn name(self) -> &'static str {
        match self {
            Service::Storefront => "storefront",
            Service::Catalog => "catalog",
            Service::Reviews => "reviews",
            Service::Ratings => "ratings",
            Service::Stock => "stock",
        }
    }

    /// Which services this one calls.
    pub fn calls(self) -> &'static [Service] {
        match self {
            Service::Storefront => &[Service::Catalog, Service::Reviews, Service::Stock],
            Service::Catalog => &[Service::Stock],
            Service::Reviews => &[Service::Ratings],
            Service::Ratings | Service::Stock => &[],
        }
    }

    /// Whether a sidecar has to speak HTTP/2 to it.
    pub fn speaks_grpc(self) -> bool {
        self == Service::Stock
    }

    fn routes(self, outbound: outbound::Outbound) -> Router {
        match self {
            Service::Storefront => storefront::routes(outbound),
            Service::Catalog => catalog::routes(outbound),
            Service::Reviews => reviews::routes(outbound),
            Service::Ratings => ratings::routes(),
            Service::Stock => stock::routes(),
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Serves HTTP/1.1 and HTTP/2 without TLS on `listener` until the task is dropped. Calls to other services go to
/// `outbound`, the outbound listener of this service's sidecar.
///
/// # Errors
/// When the listener fails.
pub async fn serve(service: Service, listener: TcpListener, outbound: SocketAddr) -> std::io::Result<()> {
    let routes = service
        .routes(outbound::Outbound::through(outbound))
        .layer(middleware::from_fn(move |request, next| fault::apply(service, request, next)));
    axum::serve(listener, routes).await
}
