//! What a comparison with a secret costs says nothing of it: instructions of the module, of 100 000 requests a kind, with the secret that they are near
//! or not, and with another. Requests are parsed too, and what that costs depends on them; so the same request is compared with itself.

use anyhow::ensure;
use wayside_proof::timing::{
    THRESHOLD,
    guest::{EQUAL, Subject, leaky},
};

const SAMPLES: usize = 100_000;

#[test]
fn secrets_of_a_known_id_and_codes_of_tokens_take_the_same_instructions_whatever_the_secret_is()
-> anyhow::Result<()> {
    let module = crate::HEADER_AUTH.as_path();
    let counted = Subject::named_keys_and_codes().differences([module, module], SAMPLES)?;
    ensure!(counted.len() >= SAMPLES && counted.only_value() == Some(EQUAL), "{:?}", counted.values());
    Ok(())
}

/// Whole keys are looked for by a digest that nobody can steer: which branch that takes is chance, and no other one for what is near a key.
#[test]
fn how_near_a_key_is_does_not_show_where_keys_are_looked_for() -> anyhow::Result<()> {
    let module = crate::HEADER_AUTH.as_path();
    let counted = Subject::whole_keys().differences([module, module], SAMPLES)?;
    let t = counted.t().unwrap_or(f64::NAN);
    ensure!(counted.len() >= SAMPLES && t.abs() < THRESHOLD, "t is {t}: {:?}", counted.values());
    Ok(())
}

#[test]
fn a_comparison_that_ends_where_bytes_differ_is_found() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let modules = [folder.path().join("one.wasm"), folder.path().join("other.wasm")];
    for (which, module) in modules.iter().enumerate() {
        std::fs::write(module, wat::parse_str(leaky(which))?)?;
    }
    let counted = Subject::leaky().differences([&modules[0], &modules[1]], 10_000)?;
    let t = counted.t().unwrap_or_default();
    ensure!(counted.only_value().is_none() && t.abs() > THRESHOLD, "t is {t}: {:?}", counted.values());
    Ok(())
}
