//! The real Envoy with a configuration of a test's own.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use std::{env, fs};

/// Where it is; `None`, told in the test's output, where this machine has none and need not.
pub(crate) fn binary(not_seen: &str) -> Option<PathBuf> {
    let binary = env::var_os("ENVOY_BIN").map(PathBuf::from);
    if binary.is_none() {
        assert!(env::var_os("WAYSIDE_REQUIRE_ENVOY").is_none(), "no ENVOY_BIN");
        eprintln!("skipped: no ENVOY_BIN, so {not_seen}");
    }
    binary
}

/// Ends with the test.
pub(crate) struct Envoy {
    process: Child,
    admin: PathBuf,
    _folder: tempfile::TempDir,
}

impl Drop for Envoy {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Envoy {
    pub(crate) fn start(binary: &Path, yaml: &str) -> Envoy {
        let folder = tempfile::tempdir().expect("a folder");
        let (config, admin) = (folder.path().join("envoy.yaml"), folder.path().join("admin"));
        fs::write(&config, yaml).expect("the folder is ours");
        let mut command = Command::new(binary);
        command.arg("-c").arg(&config).arg("--admin-address-path").arg(&admin);
        command.args(["--use-dynamic-base-id", "--concurrency", "1", "--log-level", "error"]);
        let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("an Envoy");
        Envoy { process, admin, _folder: folder }
    }

    /// What the administration interface says.
    pub(crate) fn told(&self, path: &str) -> Option<String> {
        get(&fs::read_to_string(&self.admin).ok()?, path, "")
    }

    /// The address of a listener, once it listens.
    pub(crate) fn listener(&mut self, name: &str) -> String {
        wait_for(|| {
            assert!(self.process.try_wait().expect("its state").is_none(), "Envoy ended");
            let listeners = self.told("/listeners")?;
            let address = listeners.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix("::"))?;
            (!address.ends_with(":0")).then(|| address.trim().to_owned())
        })
    }
}

/// The whole answer, head included; `None` while nobody listens.
pub(crate) fn get(address: &str, path: &str, headers: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address.trim()).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(20))).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n{headers}\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

/// Tries again for as long as an Envoy may take on a busy machine.
#[expect(clippy::disallowed_methods, reason = "a process is waited for, which tells nobody when it is ready")]
pub(crate) fn wait_for<T>(mut what: impl FnMut() -> Option<T>) -> T {
    for _ in 0..600 {
        if let Some(found) = what() {
            return found;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("Envoy did not get that far within a minute");
}
