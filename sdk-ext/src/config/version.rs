//! The version of a configuration's form, looked at before anything else: what a newer form means is not for an older module to
//! say field by field. The rule for what a version may still change is in the README of the package `schemas`.

use super::{ConfigErrors, Json};

/// Parses a document of this version; one without a `version` is left to its reader.
///
/// # Errors
/// As [`Json::parse`], or the version alone.
pub fn parse_version(text: &[u8], version: u64) -> Result<Json, ConfigErrors> {
    let json = Json::parse(text)?;
    match json.get("version") {
        Some(Json::Unsigned(found)) if *found != version => Err(refused(*found, version)),
        _ => Ok(json),
    }
}

#[cold]
#[inline(never)]
fn refused(found: u64, version: u64) -> ConfigErrors {
    let mut errors = ConfigErrors::default();
    let message = format_args!("expected {version}, found {found}: this module reads no other version");
    errors.push_told("/version".to_owned(), &message, None);
    errors
}
