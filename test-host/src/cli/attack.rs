//! `wayside attack`: what a gateway lets in.

use std::{fs, path::Path, time::SystemTime};

use wayside_attack::{Gateway, Target, attacks};

use super::{BadInput, Verdict, args::AttackArguments, print};

pub(super) fn run(arguments: &AttackArguments) -> Result<Verdict, BadInput> {
    let target = Target::new(&arguments.target, arguments.allow_remote).map_err(BadInput::of)?;
    let config = read(&arguments.auth_config)?;
    let credentials = arguments.credentials.as_deref().map(read).transpose()?;
    let mut gateway = Gateway::new(&config, credentials.as_deref()).map_err(BadInput::of)?;
    gateway.authority.clone_from(&target.authority);
    let mut attacks = attacks::all(&gateway, seconds_since_1970()?);
    if let Some(part) = &arguments.only {
        attacks.keep(|group, name| group.name().contains(part.as_str()) || name.contains(part.as_str()));
    }
    if attacks.sent.is_empty() {
        return Err(BadInput(
            "nothing to send: no attack is aimed at anything in this configuration".to_owned(),
        ));
    }
    let report = wayside_attack::run(&target, attacks).map_err(BadInput::of)?;
    if let Some(file) = &arguments.json {
        let json = serde_json::json!({ "schema": "wayside.attack/1", "report": report }).to_string();
        fs::write(file, json).map_err(|error| BadInput(format!("{}: {error}", file.display())))?;
    }
    print(&report);
    Ok(if report.wrong().next().is_none() { Verdict::AsExpected } else { Verdict::Differed })
}

fn read(file: &Path) -> Result<String, BadInput> {
    fs::read_to_string(file).map_err(|error| BadInput(format!("{}: {error}", file.display())))
}

/// Tokens are minted for the gateway's clock, which is no simulation's.
#[expect(clippy::disallowed_methods, reason = "a real gateway checks them at a real time")]
fn seconds_since_1970() -> Result<u64, BadInput> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.map(|since| since.as_secs()).map_err(BadInput::of)
}
