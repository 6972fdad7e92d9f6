//! The memory and the table that a module wants from its host, and the memory that host and guest share.

use wasmtime::{ExternType, HeapType, Linker, Memory, Module, Ref, Store, Table, bail};

/// Creates what the module imports besides functions, with the limits it asks for. Envoy does not look at the names.
pub(super) fn define<T: 'static>(
    linker: &mut Linker<T>,
    store: &mut Store<T>,
    module: &Module,
) -> wasmtime::Result<Option<Memory>> {
    let mut memory = None;
    for import in module.imports() {
        match import.ty() {
            ExternType::Memory(ty) => {
                let created = Memory::new(&mut *store, ty)?;
                linker.define(&mut *store, import.module(), import.name(), created)?;
                memory = Some(created);
            }
            ExternType::Table(ty) => {
                let empty = match ty.element().heap_type() {
                    HeapType::Func => Ref::Func(None),
                    HeapType::Extern => Ref::Extern(None),
                    other => bail!("an imported table of {other}: Envoy offers tables of functions only"),
                };
                let created = Table::new(&mut *store, ty, empty)?;
                linker.define(&mut *store, import.module(), import.name(), created)?;
            }
            _ => {}
        }
    }
    Ok(memory)
}

/// Whether the module imports anything besides functions.
pub(super) fn wants_any(module: &Module) -> bool {
    module.imports().any(|import| !matches!(import.ty(), ExternType::Func(_)))
}

/// The name of the last exported memory: any name will do.
pub(super) fn exported(module: &Module) -> Option<String> {
    let memories = module.exports().filter(|export| matches!(export.ty(), ExternType::Memory(_)));
    memories.last().map(|export| export.name().to_owned())
}
