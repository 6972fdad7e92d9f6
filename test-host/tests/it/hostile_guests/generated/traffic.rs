//! Recordings of any bytes, in every format there is.

use std::{
    fs,
    sync::{Arc, LazyLock},
};

use wayside::{
    proxy::spec::ProxySpec,
    replay::{self, Options, Specs},
    traffic::{self, Limits},
    upstream::Services,
};

use super::run;

/// By the first byte.
const NAMES: [&str; 4] = [
    "shop.inbound.streamed.json",
    "shop.inbound.buffered.json",
    "shop.outbound.streamed.pb_length_delimited",
    "shop.inbound.buffered_1.pb",
];

static SPEC: LazyLock<Arc<ProxySpec>> = LazyLock::new(|| run::spec(""));

/// A recording whose first byte says in what format the rest is read; what is read of it passes a proxy without filters.
///
/// # Panics
/// The host panicked, the file was read otherwise the second time, or two replays of it differ.
pub(crate) fn traffic(bytes: &[u8]) {
    let Some((which, recording)) = bytes.split_first() else { return };
    let folder = std::env::temp_dir().join(format!("wayside-fuzz-{}", std::process::id()));
    let path = folder.join(NAMES[usize::from(*which) % NAMES.len()]);
    fs::create_dir_all(&folder).expect("a temporary folder");
    fs::write(&path, recording).expect("a temporary file");
    let [first, second] = [(); 2].map(|()| {
        traffic::load(std::slice::from_ref(&path), &Limits::default()).map_err(|error| error.to_string())
    });
    fs::remove_file(&path).expect("it is there");
    assert_eq!(first, second, "read otherwise the second time");
    let (Ok(first), Ok(second)) = (first, second) else { return };
    let [first, second] = [first, second].map(|recording| {
        let specs = Specs::Everywhere(Arc::clone(&SPEC));
        let ended =
            replay::replay(&run::MODULES, &specs, recording, &Options::default(), |_| Services::default());
        ended.map(|replay| run::printed(&replay)).map_err(|error| error.to_string())
    });
    assert_eq!(first, second, "two runs differ");
}
