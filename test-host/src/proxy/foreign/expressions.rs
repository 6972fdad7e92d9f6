//! `expr_create`, `expr_evaluate`, `expr_delete`: CEL over the attributes that the guest's context can see.
//!
//! The `cel` crate parses and evaluates. What differs from Envoy's own evaluator: strings are UTF-8 here, whatever else is in
//! a header is replaced; a map is walked in no particular order; and an expression is bounded, see [`is_too_deep`].

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use cel::{
    Context, Program, Value,
    common::ast::{Expr, IdedExpr},
    objects::Key,
};

use crate::{
    abi::{CallStatus, ForeignAnswer, pairs},
    proxy::{ActiveContext, properties},
    trace::FindingKind,
};

/// The functions that Envoy's builder knows, of those that are called by a name (cel-cpp `RegisterBuiltinFunctions`).
const FUNCTIONS: &[&str] = &[
    "bool",
    "bytes",
    "contains",
    "double",
    "duration",
    "dyn",
    "endsWith",
    "getDate",
    "getDayOfMonth",
    "getDayOfWeek",
    "getDayOfYear",
    "getFullYear",
    "getHours",
    "getMilliseconds",
    "getMinutes",
    "getMonth",
    "getSeconds",
    "int",
    "matches",
    "size",
    "startsWith",
    "string",
    "timestamp",
    "type",
    "uint",
];

/// Longer than any that a filter should write.
const BYTES_MAX: usize = 16 * 1024;
/// As deep as Envoy's parser goes.
const DEPTH_MAX: usize = 32;
/// Of signs that can nest an expression, outside of its text.
const SIGNS_MAX: usize = 512;

/// The expressions of one root context. Numbers begin at 0 and are not used again.
#[derive(Debug, Default)]
pub(crate) struct Expressions {
    next: u32,
    programs: BTreeMap<u32, Program>,
}

/// Parsing and evaluation go as deep as the expression does, on this thread's stack.
fn is_too_deep(source: &str) -> bool {
    let (mut depth, mut deepest, mut signs, mut quote) = (0_usize, 0, 0, None);
    for letter in source.chars() {
        match (quote, letter) {
            (Some(open), _) if open == letter => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(letter),
            (None, '(' | '[' | '{') => depth += 1,
            (None, ')' | ']' | '}') => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
        if quote.is_none() && letter.is_ascii_punctuation() && letter != '_' {
            signs += 1;
        }
    }
    deepest > DEPTH_MAX || signs > SIGNS_MAX || source.len() > BYTES_MAX
}

impl ActiveContext {
    /// Kept with the root of the current context.
    pub(super) fn create_expression(&mut self, source: &Bytes) -> ForeignAnswer {
        let refused = ForeignAnswer::status(CallStatus::BadArgument);
        let Ok(source) = std::str::from_utf8(source) else {
            return refused;
        };
        if is_too_deep(source) {
            let text =
                format!("an expression of {} bytes is longer or deeper than this host takes", source.len());
            self.finding(FindingKind::BoundReached, text);
            return refused;
        }
        let Ok(program) = Program::compile(source) else {
            return refused;
        };
        let is_known =
            |name: &&str| !name.starts_with(|c: char| c.is_ascii_alphabetic()) || FUNCTIONS.contains(name);
        let root = self.current_root();
        let expressions = &mut self.core.vms[self.vm.0].foreign.entry(root).or_default().expressions;
        let token = expressions.next;
        expressions.next = token.wrapping_add(1);
        // Spent by what parses and does not compile.
        if !program.references().functions().iter().all(is_known) {
            return refused;
        }
        expressions.programs.insert(token, program);
        ForeignAnswer::result(token.to_le_bytes().to_vec())
    }

    /// Of the current context, whatever the effective one is.
    pub(super) fn evaluate_expression(&mut self, token: &Bytes) -> ForeignAnswer {
        let Ok(token) = <[u8; 4]>::try_from(&token[..]) else {
            return ForeignAnswer::status(CallStatus::BadArgument);
        };
        let root = self.current_root();
        let (current, effective) = self.act_for(self.current, None);
        let data = self.core.vms[self.vm.0].foreign.get(&root);
        let program = data.and_then(|data| data.expressions.programs.get(&u32::from_le_bytes(token)));
        let answer = match program {
            None => Err(CallStatus::NotFound),
            Some(program) => self.evaluate(program),
        };
        self.act_for(current, effective);
        match answer {
            Ok(bytes) => ForeignAnswer::result(bytes),
            Err(status) => ForeignAnswer::status(status),
        }
    }

    pub(super) fn delete_expression(&mut self, token: &Bytes) -> ForeignAnswer {
        let Ok(token) = <[u8; 4]>::try_from(&token[..]) else {
            return ForeignAnswer::status(CallStatus::BadArgument);
        };
        let root = self.current_root();
        if let Some(data) = self.core.vms[self.vm.0].foreign.get_mut(&root) {
            data.expressions.programs.remove(&u32::from_le_bytes(token));
        }
        ForeignAnswer::status(CallStatus::Ok)
    }

    fn evaluate(&self, program: &Program) -> Result<Bytes, CallStatus> {
        let plugin = self.effective_plugin();
        // An attribute by itself is what get_property reads, but for the status.
        if let Some(path) = path_of(program.expression()) {
            let read = properties::get(&self.core, plugin, self.stream(), self.connection(), &path);
            return read.value.map_err(|status| match status {
                CallStatus::NotFound => CallStatus::InternalFailure,
                status => status,
            });
        }
        let mut context = Context::default();
        for name in program.references().variables() {
            if let Some(value) =
                properties::value_for_expression(&self.core, plugin, self.stream(), self.connection(), name)
            {
                context.add_variable_from_value(name, value);
            }
        }
        let value = program.execute(&context).map_err(|_| CallStatus::InternalFailure)?;
        // A type has no bytes; here it is a text.
        match &program.expression().expr {
            Expr::Call(call) if call.func_name == "type" => Err(CallStatus::SerializationFailure),
            _ => encode(&value),
        }
    }
}

/// `a.b.c` as the path of a property.
fn path_of(expression: &IdedExpr) -> Option<Vec<u8>> {
    match &expression.expr {
        Expr::Ident(name) => Some(name.clone().into_bytes()),
        Expr::Select(select) if !select.test => {
            let mut path = path_of(&select.operand)?;
            path.push(0);
            path.extend(select.field.as_bytes());
            Some(path)
        }
        _ => None,
    }
}

/// As the values of attributes are put in bytes.
fn encode(value: &Value) -> Result<Bytes, CallStatus> {
    Ok(match value {
        Value::Int(number) => number.to_le_bytes().to_vec().into(),
        Value::UInt(number) => number.to_le_bytes().to_vec().into(),
        Value::Float(number) => number.to_le_bytes().to_vec().into(),
        Value::Bool(truth) => vec![u8::from(*truth)].into(),
        Value::String(text) => text.as_bytes().to_vec().into(),
        Value::Bytes(bytes) => bytes.as_ref().clone().into(),
        Value::Duration(time) => nanoseconds(time.num_nanoseconds())?,
        Value::Timestamp(time) => nanoseconds(time.timestamp_nanos_opt())?,
        Value::List(items) => {
            let items = items.iter().map(encode).collect::<Result<Vec<_>, _>>()?;
            pairs::encode(items.iter().map(|item| (&item[..], &b""[..]))).into()
        }
        Value::Map(map) => {
            let entries: BTreeMap<&Key, &Value> = map.map.iter().collect();
            let entries = entries.into_iter().map(|(key, value)| Ok((key_bytes(key)?, encode(value)?)));
            let entries = entries.collect::<Result<Vec<_>, CallStatus>>()?;
            pairs::encode(entries.iter().map(|(key, value)| (&key[..], &value[..]))).into()
        }
        _ => return Err(CallStatus::SerializationFailure),
    })
}

fn nanoseconds(number: Option<i64>) -> Result<Bytes, CallStatus> {
    number.map(|number| number.to_le_bytes().to_vec().into()).ok_or(CallStatus::SerializationFailure)
}

/// Only text can be a key of pairs.
fn key_bytes(key: &Key) -> Result<Bytes, CallStatus> {
    match key {
        Key::String(text) => Ok(Arc::unwrap_or_clone(Arc::clone(text)).into()),
        Key::Int(number) => Ok(number.to_le_bytes().to_vec().into()),
        Key::Uint(number) => Ok(number.to_le_bytes().to_vec().into()),
        Key::Bool(truth) => Ok(vec![u8::from(*truth)].into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evaluated(source: &str) -> Result<Bytes, CallStatus> {
        let program = Program::compile(source).expect("it parses");
        encode(&program.execute(&Context::default()).map_err(|_| CallStatus::InternalFailure)?)
    }

    #[test]
    fn values_are_put_in_bytes_as_attributes_are() {
        assert_eq!(evaluated("1 + 1").unwrap(), Bytes::from_static(b"\x02\0\0\0\0\0\0\0"));
        assert_eq!(evaluated("duration('1s')").unwrap(), Bytes::from_static(b"\x00\xca\x9a;\0\0\0\0"));
        assert_eq!(evaluated("null"), Err(CallStatus::SerializationFailure));
        assert_eq!(evaluated("1 / 0"), Err(CallStatus::InternalFailure));
    }

    #[test]
    fn what_would_exhaust_the_stack_is_not_parsed() {
        assert!(is_too_deep(&"(".repeat(33)));
        assert!(is_too_deep(&"!".repeat(600)));
        assert!(is_too_deep(&"a?b:".repeat(300)));
        assert!(!is_too_deep("request.headers['x'].startsWith('((((((((((((((((((((((((((((((((((')"));
    }
}
