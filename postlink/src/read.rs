//! A module taken apart as far as it must be to see what reaches what.

use crate::PostlinkError;
use wasmparser::{ExternalKind, FunctionBody, Operator, Parser, Payload, TypeRef};

/// What a function's code uses.
#[derive(Debug, Default)]
pub(crate) struct Function {
    pub(crate) type_index: u32,
    pub(crate) calls: Vec<u32>,
    /// The code without the numbers of those it calls.
    pub(crate) shape: Vec<u8>,
    /// Of indirect calls and of blocks.
    pub(crate) types: Vec<u32>,
    /// The answer, if the code is nothing but one: `None` in the inner option for no value.
    pub(crate) answer: Option<Option<i32>>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Import<'a> {
    pub(crate) module: &'a str,
    pub(crate) name: &'a str,
}

#[derive(Debug, Default)]
pub(crate) struct Module<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) types: u32,
    pub(crate) imports: Vec<Import<'a>>,
    /// The types of those that are functions, which come first among the functions' numbers.
    pub(crate) imported: Vec<u32>,
    pub(crate) functions: Vec<Function>,
    pub(crate) exports: Vec<(&'a str, ExternalKind, u32)>,
    /// Reachable without an export: from the start section, tables and globals.
    pub(crate) roots: Vec<u32>,
}

impl<'a> Module<'a> {
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Self, PostlinkError> {
        let mut module = Self { bytes, ..Self::default() };
        let mut bodies = 0;
        for payload in Parser::new(0).parse_all(bytes) {
            match payload? {
                Payload::TypeSection(section) => module.types = section.count(),
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        module.import(import?);
                    }
                }
                Payload::FunctionSection(section) => {
                    for type_index in section {
                        module.functions.push(Function { type_index: type_index?, ..Function::default() });
                    }
                }
                Payload::GlobalSection(section) => {
                    for global in section {
                        module.roots_in(global?.init_expr.get_operators_reader())?;
                    }
                }
                Payload::ExportSection(section) => {
                    for export in section {
                        let export = export?;
                        module.exports.push((export.name, export.kind, export.index));
                    }
                }
                Payload::StartSection { func, .. } => module.roots.push(func),
                Payload::ElementSection(section) => {
                    for element in section {
                        module.roots_of(element?.items)?;
                    }
                }
                Payload::CodeSectionEntry(body) => {
                    let function = module.functions.get_mut(bodies).ok_or_else(unmatched)?;
                    read_body(bytes, &body, function)?;
                    bodies += 1;
                }
                Payload::TableSection(_)
                | Payload::MemorySection(_)
                | Payload::DataCountSection { .. }
                | Payload::DataSection(_)
                | Payload::CodeSectionStart { .. }
                | Payload::CustomSection(_)
                | Payload::Version { encoding: wasmparser::Encoding::Module, .. }
                | Payload::End(_) => {}
                _ => return Err(PostlinkError::Malformed("it is a component, or has tags".into())),
            }
        }
        if bodies == module.functions.len() { Ok(module) } else { Err(unmatched()) }
    }

    fn import(&mut self, import: wasmparser::Import<'a>) {
        if let TypeRef::Func(index) | TypeRef::FuncExact(index) = import.ty {
            self.imported.push(index);
        }
        self.imports.push(Import { module: import.module, name: import.name });
    }

    fn roots_of(&mut self, items: wasmparser::ElementItems<'a>) -> Result<(), PostlinkError> {
        match items {
            wasmparser::ElementItems::Functions(functions) => {
                for function in functions {
                    self.roots.push(function?);
                }
            }
            wasmparser::ElementItems::Expressions(_, expressions) => {
                for expression in expressions {
                    self.roots_in(expression?.get_operators_reader())?;
                }
            }
        }
        Ok(())
    }

    fn roots_in(&mut self, operators: wasmparser::OperatorsReader<'a>) -> Result<(), PostlinkError> {
        for operator in operators {
            if let Operator::RefFunc { function_index } = operator? {
                self.roots.push(function_index);
            }
        }
        Ok(())
    }

    /// The code of a function by its number; `None` for an import.
    pub(crate) fn function(&self, index: u32) -> Option<&Function> {
        let index = usize::try_from(index).ok()?.checked_sub(self.imported.len())?;
        self.functions.get(index)
    }
}

fn unmatched() -> PostlinkError {
    PostlinkError::Malformed("functions and their code are not equal in number".into())
}

fn read_body(bytes: &[u8], body: &FunctionBody<'_>, function: &mut Function) -> Result<(), PostlinkError> {
    let mut first = Vec::with_capacity(3);
    let mut operators = body.get_operators_reader()?;
    let mut shown = body.range().start;
    while !operators.eof() {
        let start = operators.original_position();
        let operator = operators.read()?;
        match &operator {
            Operator::Call { function_index }
            | Operator::ReturnCall { function_index }
            | Operator::RefFunc { function_index } => {
                function.calls.push(*function_index);
                function.shape.extend(slice(bytes, shown, start.saturating_add(1)));
                shown = operators.original_position();
            }
            Operator::CallIndirect { type_index, .. } | Operator::ReturnCallIndirect { type_index, .. } => {
                function.types.push(*type_index);
            }
            Operator::Block { blockty } | Operator::Loop { blockty } | Operator::If { blockty } => {
                if let wasmparser::BlockType::FuncType(type_index) = blockty {
                    function.types.push(*type_index);
                }
            }
            _ => {}
        }
        if first.len() < 3 {
            first.push(operator);
        }
    }
    function.shape.extend(slice(bytes, shown, body.range().end));
    function.answer = match first.as_slice() {
        [Operator::End] => Some(None),
        [Operator::I32Const { value }, Operator::End] => Some(Some(*value)),
        _ => None,
    };
    Ok(())
}

/// A part of the module by its offsets.
fn slice(bytes: &[u8], start: u64, end: u64) -> &[u8] {
    let offset = |offset| usize::try_from(offset).unwrap_or(usize::MAX);
    bytes.get(offset(start)..offset(end)).unwrap_or_default()
}
