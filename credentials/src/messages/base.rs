//! The text that is signed (RFC 9421, 2.5).

use super::component::{Component, Spacing};
use super::fields::InnerList;
use super::message::Message;
use super::signature::Refused;

/// Builds the signature base of `covered`, which are the components of `input`.
///
/// # Errors
/// A component that the message does not have, that occurs twice, or whose value is not visible ASCII on one line.
pub fn base(
    input: &InnerList<'_>,
    covered: &[Component<'_>],
    message: &Message<'_>,
    spacing: Spacing,
) -> Result<Vec<u8>, Refused> {
    let mut base = Vec::with_capacity(512);
    let mut seen: Vec<String> = Vec::with_capacity(covered.len());
    for (item, component) in input.items.iter().zip(covered) {
        let mut identifier = String::new();
        item.write(&mut identifier);
        if seen.contains(&identifier) {
            return Err(Refused::Malformed);
        }
        let value = component.value(message, spacing)?;
        if !value.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~')) {
            return Err(Refused::Unsupported);
        }
        base.extend_from_slice(identifier.as_bytes());
        base.extend_from_slice(b": ");
        base.extend_from_slice(&value);
        base.push(b'\n');
        seen.push(identifier);
    }
    let mut parameters = String::from("\"@signature-params\": ");
    input.write(&mut parameters);
    base.extend_from_slice(parameters.as_bytes());
    Ok(base)
}
