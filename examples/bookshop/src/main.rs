//! Runs one service of the bookshop, for a mesh put together by hand.

use std::{io::Write as _, net::SocketAddr};

use bookshop::Service;
use clap::Parser;

/// One service of the bookshop. Prints the address it listens on, then serves until it is stopped.
#[derive(Debug, Parser)]
struct Arguments {
    service: Service,
    /// Port 0 lets the system choose.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// The outbound listener of this service's sidecar.
    #[arg(long)]
    outbound: SocketAddr,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let listener = tokio::net::TcpListener::bind(arguments.listen).await?;
    writeln!(std::io::stdout(), "{}", listener.local_addr()?)?;
    bookshop::serve(arguments.service, listener, arguments.outbound).await?;
    Ok(())
}
