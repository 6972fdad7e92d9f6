//! Writes what stays, with new numbers and without padding.

use crate::PostlinkError;
use crate::live::Live;
use crate::read::Module;
use std::collections::BTreeMap;
use wasm_encoder::reencode::{self, Reencode, utils};
use wasm_encoder::{CodeSection, ExportSection, FunctionSection, ImportSection, NameMap, TypeSection};

type Done = Result<(), reencode::Error<Missing>>;

/// A reference to something that does not stay: a defect of `live`, and an error all the same.
#[derive(Debug, thiserror::Error)]
#[error("{0} {1} is used and was dropped")]
pub(crate) struct Missing(&'static str, u32);

pub(crate) fn write(module: &Module<'_>, live: &Live<'_>) -> Result<Vec<u8>, PostlinkError> {
    let mut writer = Writer { module, live, names: None };
    let mut written = wasm_encoder::Module::new();
    writer
        .parse_core_module(&mut written, wasmparser::Parser::new(0), module.bytes)
        .map_err(|error| PostlinkError::Malformed(error.to_string()))?;
    if let Some(names) = writer.names {
        written.section(&names);
    }
    Ok(written.finish())
}

struct Writer<'a> {
    module: &'a Module<'a>,
    live: &'a Live<'a>,
    names: Option<wasm_encoder::NameSection>,
}

fn renumbered(what: &'static str, map: &[Option<u32>], old: u32) -> Result<u32, reencode::Error<Missing>> {
    let new = usize::try_from(old).ok().and_then(|old| map.get(old).copied().flatten());
    new.ok_or(reencode::Error::UserError(Missing(what, old)))
}

impl Writer<'_> {
    fn is_live(&self, function: usize) -> bool {
        self.live.functions.get(function).is_some_and(Option::is_some)
    }

    /// What stands in a section with an entry for each function with code, in its new order.
    fn in_order<T: Clone>(
        &self,
        entries: impl IntoIterator<Item = wasmparser::Result<T>>,
    ) -> Result<Vec<T>, reencode::Error<Missing>> {
        let entries = entries.into_iter().collect::<wasmparser::Result<Vec<T>>>()?;
        let entry = |number: &u32| {
            let place = usize::try_from(*number).ok()?.checked_sub(self.module.imported.len())?;
            entries.get(place).cloned()
        };
        self.live
            .order
            .iter()
            .map(|number| entry(number).ok_or(reencode::Error::UserError(Missing("function", *number))))
            .collect()
    }
}

impl Reencode for Writer<'_> {
    type Error = Missing;

    fn function_index(&mut self, old: u32) -> Result<u32, reencode::Error<Missing>> {
        renumbered("function", &self.live.functions, old)
    }

    fn type_index(&mut self, old: u32) -> Result<u32, reencode::Error<Missing>> {
        renumbered("type", &self.live.types, old)
    }

    fn parse_type_section(
        &mut self,
        types: &mut TypeSection,
        section: wasmparser::TypeSectionReader<'_>,
    ) -> Done {
        for (place, group) in section.into_iter().enumerate() {
            let group = group?;
            // Modules for Proxy-Wasm have no groups of several types, so places are numbers.
            if self.live.types.get(place).is_some_and(Option::is_some) {
                utils::parse_recursive_type_group(self, types.ty(), group)?;
            }
        }
        Ok(())
    }

    fn parse_import_section(
        &mut self,
        imports: &mut ImportSection,
        section: wasmparser::ImportSectionReader<'_>,
    ) -> Done {
        let mut functions = 0;
        for import in section.into_imports() {
            let import = import?;
            let keep = match import.ty {
                wasmparser::TypeRef::Func(_) | wasmparser::TypeRef::FuncExact(_) => {
                    functions += 1;
                    self.is_live(functions - 1)
                }
                _ => true,
            };
            if keep {
                utils::parse_import(self, imports, import)?;
            }
        }
        Ok(())
    }

    fn parse_function_section(
        &mut self,
        functions: &mut FunctionSection,
        section: wasmparser::FunctionSectionReader<'_>,
    ) -> Done {
        for type_index in self.in_order(section)? {
            functions.function(self.type_index(type_index)?);
        }
        Ok(())
    }

    fn parse_code_section(
        &mut self,
        code: &mut CodeSection,
        section: wasmparser::CodeSectionReader<'_>,
    ) -> Done {
        for body in self.in_order(section)? {
            utils::parse_function_body(self, code, body)?;
        }
        Ok(())
    }

    fn parse_export_section(
        &mut self,
        exports: &mut ExportSection,
        section: wasmparser::ExportSectionReader<'_>,
    ) -> Done {
        for export in section {
            let export = export?;
            if self.live.exports.contains(&export.name) {
                utils::parse_export(self, exports, export)?;
            }
        }
        Ok(())
    }

    /// Function names are kept for whoever builds with them: traps then say where. All else is for debuggers that know the
    /// module as it was.
    fn parse_custom_section(
        &mut self,
        _: &mut wasm_encoder::Module,
        section: wasmparser::CustomSectionReader<'_>,
    ) -> Done {
        let wasmparser::KnownCustom::Name(subsections) = section.as_known() else { return Ok(()) };
        let mut names = wasm_encoder::NameSection::new();
        for subsection in subsections {
            let wasmparser::Name::Function(map) = subsection? else { continue };
            let mut by_number = BTreeMap::new();
            for naming in map {
                let naming = naming?;
                if let Ok(index) = self.function_index(naming.index) {
                    by_number.entry(index).or_insert(naming.name);
                }
            }
            let mut kept = NameMap::new();
            for (index, name) in by_number {
                kept.append(index, name);
            }
            names.functions(&kept);
            self.names = Some(names.clone());
        }
        Ok(())
    }
}
