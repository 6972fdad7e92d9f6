//! Files on disk → text, within limits.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{ConfigError, ConfigErrors, Place};

const MAX_BYTES: u64 = 32 << 20;

pub(super) fn is_json(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"))
}

pub(super) fn read(path: &Path) -> Result<String, ConfigErrors> {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    if matches!(extension, "pb" | "pb_text" | "textproto") {
        return Err(error(path, format!("a .{extension} file"), "YAML or JSON").into());
    }
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|cause| unreadable(path, &cause, "a configuration file"))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(error(path, format!("more than {} MiB", MAX_BYTES >> 20), "a smaller file").into());
    }
    if let Some(at) = bytes.iter().position(|byte| *byte == 0) {
        return Err(error(path, format!("a zero byte at offset {at}"), "text (YAML or JSON)").into());
    }
    String::from_utf8(bytes).map_err(|cause| {
        let at = cause.utf8_error().valid_up_to();
        error(path, format!("a byte that is not UTF-8 at offset {at}"), "text (YAML or JSON)").into()
    })
}

/// The configuration files of a folder by proxy name.
pub(super) fn files_in(folder: &Path) -> Result<Vec<PathBuf>, ConfigErrors> {
    let unreadable = |cause: io::Error| unreadable(folder, &cause, "a folder of configuration files");
    let mut by_name: BTreeMap<_, PathBuf> = BTreeMap::new();
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        paths.push(entry.map_err(unreadable)?.path());
    }
    paths.sort();
    let wanted = |path: &PathBuf| path.extension().is_some_and(|e| e == "yaml" || e == "yml" || e == "json");
    for path in paths.into_iter().filter(wanted) {
        let name = path.file_stem().unwrap_or_default().to_owned();
        if let Some(other) = by_name.insert(name.clone(), path.clone()) {
            let found = format!("a second file for proxy {}, besides {}", name.display(), other.display());
            return Err(error(&path, found, "one file a proxy").into());
        }
    }
    if by_name.is_empty() {
        return Err(error(folder, "no configuration", "files named <proxy>.yaml or <proxy>.json").into());
    }
    Ok(by_name.into_values().collect())
}

fn unreadable(path: &Path, cause: &io::Error, expected: &str) -> ConfigErrors {
    error(path, cause.to_string(), expected).into()
}

fn error(path: &Path, found: impl Into<String>, expected: &str) -> ConfigError {
    let place = Place { file: Arc::new(path.to_path_buf()), position: None, path: String::new() };
    ConfigError { place, found: found.into(), expected: expected.to_owned() }
}
