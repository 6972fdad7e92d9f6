//! A tick is the root's: a call sent from there would be the root's too, whichever stream it is meant for.
use wayside_sdk::{Cluster, Parked, Root};

fn on_tick(root: &mut Root, cluster: &Cluster) {
    let _ = cluster.call("GET", "/").send(root);
}

fn a_timer(parked: &mut Parked, cluster: &Cluster) {
    let _ = cluster.call("GET", "/").send(parked.stream());
}

fn main() {}
