//! Who was recognised.

/// What a verified credential says about its holder. The strings are ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The name as configured, which `authorize.subjects` refers to
    pub name: String,
    pub scopes: Vec<String>,
}
