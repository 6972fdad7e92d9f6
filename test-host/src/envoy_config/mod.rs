//! Envoy's bootstrap configuration → [`ProxySpec`]. What cannot be used is an error with its place, what is not
//! emulated is listed with its place, and nothing is dropped in silence.

mod bootstrap;
mod cluster;
mod duration;
mod finding;
mod listener;
mod metadata;
mod network;
mod raw;
mod route;
mod route_match;
mod setting;
mod source;
mod upstream;
mod wasm;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

pub use finding::{ConfigError, ConfigErrors, Place, Position, Unsupported, Weight};
pub use setting::{Setting, SettingError};

use crate::proxy::spec::ProxySpec;

/// What a configuration depends on besides its text.
#[derive(Clone, Debug, Default)]
pub struct LoadOptions {
    /// Relative paths of modules start here. `None`: at the current directory of this process, as in Envoy.
    pub working_directory: Option<PathBuf>,
    /// What `host_env_keys` may copy from. Empty by default: a replay does not depend on who runs it.
    pub host_environment: BTreeMap<String, String>,
}

/// A configuration that can be used.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub spec: ProxySpec,
    /// By place.
    pub unsupported: Vec<Unsupported>,
}

/// Reads one bootstrap file, YAML or (by its name, `.json`) JSON. The proxy is named after the file.
///
/// # Errors
/// All that is wrong with it: not readable, not UTF-8, larger than 32 MiB, not YAML; fields of a wrong type; a chain
/// without a router; a Wasm filter that cannot be built.
pub fn load(path: &Path) -> Result<Loaded, ConfigErrors> {
    load_with(path, &LoadOptions::default())
}

/// As [`load`].
///
/// # Errors
/// As [`load`].
pub fn load_with(path: &Path, options: &LoadOptions) -> Result<Loaded, ConfigErrors> {
    let text = source::read(path)?;
    from_text(&text, path, options)
}

/// As [`load`], from text; `path` gives the proxy its name and messages their file.
///
/// # Errors
/// As [`load`].
pub fn from_text(text: &str, path: &Path, options: &LoadOptions) -> Result<Loaded, ConfigErrors> {
    let findings = raw::Findings::new(path.to_path_buf());
    let syntax = if source::is_json(path) { raw::Syntax::Json } else { raw::Syntax::Yaml };
    let node = raw::parse(text, syntax).map_err(|error| ConfigError {
        place: findings.place(Some(error.at), ""),
        found: error.found,
        expected: error.expected,
    })?;
    let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let spec = bootstrap::bootstrap(&raw::Cursor::root(&node, &findings), &name, options);
    let missing = findings.place(None, "");
    let (errors, unsupported) = findings.into_parts();
    match (ConfigErrors::new(errors), spec) {
        (None, Some(spec)) => Ok(Loaded { spec, unsupported }),
        (Some(errors), _) => Err(errors),
        (None, None) => Err(ConfigErrors::from(ConfigError {
            place: missing,
            found: "no proxy".to_owned(),
            expected: "a bootstrap with a listener".to_owned(),
        })),
    }
}

/// Reads a folder with one file a proxy, `<proxy>.yaml`, `.yml` or `.json`; other files are not looked at. In the
/// order of the proxies' names.
///
/// # Errors
/// As [`load`], for all files together; also a folder without such files, and two files for one proxy.
pub fn load_dir(folder: &Path, options: &LoadOptions) -> Result<Vec<Loaded>, ConfigErrors> {
    let mut errors = Vec::new();
    let mut loaded = Vec::new();
    for path in source::files_in(folder)? {
        match load_with(&path, options) {
            Ok(proxy) => loaded.push(proxy),
            Err(found) => errors.extend(found.iter().cloned()),
        }
    }
    match ConfigErrors::new(errors) {
        None => Ok(loaded),
        Some(errors) => Err(errors),
    }
}
