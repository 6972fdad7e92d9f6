//! `wayside parity`.

use std::path::Path;

use super::{BadInput, Verdict, args::ParityArguments, replay};
use crate::{
    parity::{self, Cases, Rules, Subject},
    traffic,
};

pub(super) fn run(arguments: &ParityArguments) -> Result<Verdict, BadInput> {
    let binary = match &arguments.envoy_bin {
        Some(named) if !named.is_file() => {
            return Err(BadInput(format!(
                "--envoy-bin {}: no such file, expected an Envoy binary",
                named.display()
            )));
        }
        Some(named) => named.clone(),
        None => {
            let named = std::env::var_os("ENVOY_BIN").map(Into::into);
            parity::find_envoy(named, Path::new("target")).map_err(BadInput)?
        }
    };
    let recording = traffic::load(&arguments.traffic, &traffic::Limits::default()).map_err(BadInput::of)?;
    if !recording.connections.is_empty() {
        eprintln!("note: {} TCP connections of the recording are not compared", recording.connections.len());
    }
    let known = arguments.known.as_deref().map(Rules::read).transpose().map_err(BadInput)?;
    let subject = Subject {
        envoy: arguments.envoy.clone(),
        cases: Cases::of(recording.exchanges),
        callouts: replay::load_script(arguments.callouts.as_deref())?,
        known: known.unwrap_or_default(),
    };
    let certificate = parity::certify_blocking(&binary, &subject).map_err(BadInput::of)?;
    super::print(&certificate.text());
    if let Some(path) = &arguments.json {
        replay::write(path, |to| certificate.write_json(to))?;
    }
    Ok(if certificate.agrees() { Verdict::AsExpected } else { Verdict::Differed })
}
