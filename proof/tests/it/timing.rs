//! What a comparison with a secret costs says nothing of it: instructions of the module, of 100 000 requests a kind.

use anyhow::ensure;
use wayside_proof::timing::{
    THRESHOLD,
    guest::{LEAKY, Subject},
};

const SAMPLES: usize = 100_000;

#[test]
fn every_wrong_secret_of_a_known_id_takes_the_same_instructions() -> anyhow::Result<()> {
    let counted = Subject::named_keys().instructions(&crate::HEADER_AUTH, SAMPLES)?;
    ensure!(counted.len() >= SAMPLES && counted.only_value().is_some(), "{:?}", counted.values());
    Ok(())
}

#[test]
fn every_wrong_code_of_a_token_takes_the_same_instructions() -> anyhow::Result<()> {
    let counted = Subject::codes().instructions(&crate::HEADER_AUTH, SAMPLES)?;
    ensure!(counted.len() >= SAMPLES && counted.only_value().is_some(), "{:?}", counted.values());
    Ok(())
}

/// Whole keys are looked for by a digest that nobody can steer: which branch it takes is chance, and no more often one for what is near a key.
#[test]
fn how_near_a_key_is_does_not_show_where_keys_are_looked_for() -> anyhow::Result<()> {
    let counted = Subject::whole_keys().instructions(&crate::HEADER_AUTH, SAMPLES)?;
    let t = counted.t().unwrap_or(f64::NAN);
    ensure!(counted.len() >= SAMPLES && t.abs() < THRESHOLD, "t is {t}: {:?}", counted.values());
    Ok(())
}

#[test]
fn a_comparison_that_ends_where_bytes_differ_is_found() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let module = folder.path().join("leaky.wasm");
    std::fs::write(&module, wat::parse_str(LEAKY)?)?;
    let counted = Subject::leaky().instructions(&module, 10_000)?;
    let t = counted.t().unwrap_or_default();
    ensure!(counted.only_value().is_none() && t.abs() > THRESHOLD, "t is {t}: {:?}", counted.values());
    Ok(())
}
