//! The answer would come for a stream that is gone.
use wayside_sdk::{Cluster, LogCx};

fn on_log(cx: &LogCx, cluster: &Cluster) {
    let _ = cluster.call("GET", "/").send(cx.stream());
}

fn main() {}
