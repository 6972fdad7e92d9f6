//! Expressions of CEL that Envoy evaluates: over a megabyte that no module has to bring.

use super::PropValue;
use crate::hostcalls::{self, Host};
use std::marker::PhantomData;

/// An expression over attributes, and the type of its value. Made by [`Init::expression`](crate::Init::expression), evaluated by
/// [`StreamInfo::evaluate`](crate::StreamInfo::evaluate).
pub struct Expression<T> {
    /// Envoy's number of it, as it wants it back.
    number: [u8; 4],
    value: PhantomData<fn() -> T>,
}

impl<T> std::fmt::Debug for Expression<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Expression({})", u32::from_le_bytes(self.number))
    }
}

impl<T: PropValue> Expression<T> {
    pub(crate) fn new(text: &str) -> Host<Expression<T>> {
        let number = hostcalls::foreign("expr_create", text.as_bytes())?;
        let number = number.try_into().map_err(|_| hostcalls::malformed_answer())?;
        Ok(Expression { number, value: PhantomData })
    }

    pub(crate) fn evaluate(&self) -> Host<T> {
        let value = hostcalls::foreign("expr_evaluate", &self.number)?;
        T::decode(value).ok_or_else(hostcalls::malformed_answer)
    }
}
