//! Finds where a cut file ends too early, from the section lengths alone: a validator would only say "unexpected end".

use super::problem::Problem;
use wasmparser::BinaryReader;

/// Magic number and version.
const HEADER: usize = 8;

/// The section that is declared longer than the file goes on.
pub(super) fn find_cut(bytes: &[u8]) -> Result<(), Problem> {
    let len = bytes.len();
    let mut reader = BinaryReader::new(bytes, 0);
    if reader.read_bytes(HEADER).is_err() {
        return Err(Problem::Truncated { what: "header".into(), starts_at: 0, ends_at: HEADER as u64, len });
    }
    while !reader.eof() {
        let starts_at = reader.current_position() as u64;
        let header = reader.read_u8().and_then(|id| Ok((id, reader.read_var_u32()?)));
        let Ok((id, section_len)) = header else {
            if reader.eof() {
                return Err(Problem::Truncated {
                    what: "section header".into(),
                    starts_at,
                    ends_at: len as u64 + 1,
                    len,
                });
            }
            // The length is not a number: malformed, which the validator words better.
            return Ok(());
        };
        let ends_at = reader.current_position() as u64 + u64::from(section_len);
        if reader.read_bytes(section_len as usize).is_err() {
            return Err(Problem::Truncated {
                what: format!("{} section", section_name(id)),
                starts_at,
                ends_at,
                len,
            });
        }
    }
    Ok(())
}

fn section_name(id: u8) -> &'static str {
    const NAMES: [&str; 14] = [
        "custom",
        "type",
        "import",
        "function",
        "table",
        "memory",
        "global",
        "export",
        "start",
        "element",
        "code",
        "data",
        "data count",
        "tag",
    ];
    NAMES.get(usize::from(id)).copied().unwrap_or("unknown")
}
