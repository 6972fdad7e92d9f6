//! Which files to read, and what their names say of the traffic in them.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{TrafficError, notes::Notes};
use crate::message::{Direction, NoteKind, Peer};

/// Whose traffic a file holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Group {
    pub(super) proxy: Arc<str>,
    pub(super) direction: Direction,
}

/// What a file name says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) group: Group,
    /// Envoy's number for the stream, which it appends to the name of each file of its own. A buffered trace has it
    /// nowhere else.
    pub(super) trace_id: Option<u64>,
    /// Of a socket's tap: who sent what the proxy read from it.
    pub(super) reads_from: Peer,
    pub(super) extension: String,
}

impl Named {
    /// Connections written out by hand.
    pub(super) fn is_written(&self) -> bool {
        matches!(&self.extension[..], "yaml" | "yml")
    }
}

#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) path: PathBuf,
    pub(super) named: Named,
    /// Found in a folder, not asked for by name: may turn out to be unreadable without that being an error.
    pub(super) found: bool,
}

/// All files to read: the paths as they are, folders walked in the order of names.
pub(super) fn find(paths: &[PathBuf], notes: &mut Notes) -> Result<Vec<Source>, TrafficError> {
    let mut sources = Vec::new();
    for path in paths {
        let metadata = fs::metadata(path).map_err(|e| TrafficError::io(path, e))?;
        if !metadata.is_dir() {
            sources.push(Source { path: path.clone(), named: named(path), found: false });
            continue;
        }
        let before = sources.len();
        walk(path, &mut sources, notes)?;
        if sources.len() == before {
            let text = "the folder holds no file that could be a recording".to_owned();
            notes.add(NoteKind::FileSkipped, path.display().to_string(), text);
        }
    }
    Ok(sources)
}

fn walk(root: &Path, sources: &mut Vec<Source>, notes: &mut Notes) -> Result<(), TrafficError> {
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let mut entries = entries.map_err(|e| TrafficError::io(&folder, e))?;
        entries.sort_by_key(fs::DirEntry::file_name);
        let mut inner = Vec::new();
        for entry in entries {
            let (path, kind) =
                (entry.path(), entry.file_type().map_err(|e| TrafficError::io(&entry.path(), e))?);
            if kind.is_dir() {
                inner.push(path);
            } else if let Some(why) = no_recording(&path) {
                notes.add(NoteKind::FileIgnored, path.display().to_string(), why.to_owned());
            } else {
                sources.push(Source { named: named(&path), path, found: true });
            }
        }
        folders.extend(inner.into_iter().rev());
    }
    Ok(())
}

/// Why a file in a folder is none to read, if so. Links to files are followed, links to folders are not: those can
/// form circles.
fn no_recording(path: &Path) -> Option<&'static str> {
    const OTHERS: [&str; 10] = ["md", "yaml", "yml", "toml", "txt", "py", "sh", "log", "lock", "html"];
    let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
    let extension = path.extension().and_then(OsStr::to_str).unwrap_or_default();
    if !fs::metadata(path).is_ok_and(|m| m.is_file()) {
        return Some("not read: no regular file");
    }
    if name.starts_with('.') {
        return Some("not read: a hidden file");
    }
    if name == "connections.yaml" || name.ends_with(".connections.yaml") {
        return None;
    }
    let other = OTHERS.iter().any(|other| extension.eq_ignore_ascii_case(other));
    other.then_some("not read: by its name no recording")
}

/// Takes `<proxy>.<inbound|outbound|downstream|upstream>.<streamed|buffered>` apart, behind which Envoy may have put
/// `_<trace id>`, and `<proxy>.connections`. Of any other name the whole stem is the proxy's.
pub(super) fn named(path: &Path) -> Named {
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let (stem, extension) = match name.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() => (stem, extension),
        _ => (&name[..], ""),
    };
    let numbered = stem.rsplit_once('_').and_then(|(prefix, id)| Some((prefix, trace_id(id)?)));
    let (stem, trace_id) = match numbered {
        Some((prefix, id)) if !prefix.is_empty() => (prefix, Some(id)),
        _ => (stem, None),
    };
    let (proxy, direction, reads_from) = sided(stem).unwrap_or((stem, Direction::Unspecified, Peer::Client));
    Named {
        group: Group { proxy: proxy.into(), direction },
        trace_id,
        reads_from,
        extension: extension.to_owned(),
    }
}

fn trace_id(text: &str) -> Option<u64> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?
}

fn sided(stem: &str) -> Option<(&str, Direction, Peer)> {
    let (rest, form) = stem.rsplit_once('.')?;
    if form == "connections" && !rest.is_empty() {
        return Some((rest, Direction::Unspecified, Peer::Client));
    }
    let (proxy, side) = rest.rsplit_once('.')?;
    let (direction, reads_from) = match side {
        "inbound" => (Direction::Inbound, Peer::Client),
        "outbound" => (Direction::Outbound, Peer::Client),
        "downstream" => (Direction::Unspecified, Peer::Client),
        "upstream" => (Direction::Unspecified, Peer::Server),
        _ => return None,
    };
    (matches!(form, "streamed" | "buffered") && !proxy.is_empty()).then_some((proxy, direction, reads_from))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(name: &str) -> String {
        let Named { group, trace_id, extension, reads_from: _ } = named(Path::new(name));
        format!("{} {} {trace_id:?} {extension}", group.proxy, group.direction)
    }

    #[test]
    fn a_name_says_whose_traffic_it_is() {
        assert_eq!(shown("a/cart.v1.inbound.streamed.json"), "cart.v1 inbound None json");
        assert_eq!(
            shown("cart.outbound.buffered_17.pb_length_delimited"),
            "cart outbound Some(17) pb_length_delimited"
        );
        assert_eq!(shown("prefix_123.json"), "prefix unspecified Some(123) json");
        assert_eq!(shown("my_tap.json"), "my_tap unspecified None json");
        assert_eq!(shown("_5"), "_5 unspecified None ");
        assert_eq!(shown(".inbound.streamed.json"), ".inbound.streamed unspecified None json");
        assert_eq!(shown("x_99999999999999999999.json"), "x_99999999999999999999 unspecified None json");
    }
}
