//! What a module exports to its host: looked up by name once for all VMs made from it, and in a VM when it is first called.

use wasmtime::{
    ExternType, Func, Instance, Memory, Module, ModuleExport, Store, TypedFunc, WasmParams, WasmResults,
};

use super::imported;
use crate::abi::Callback;

/// The shape of a callback's type: parameters, and whether it returns a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    One,
    OneResult,
    Two,
    TwoResult,
    Three,
    ThreeResult,
    Five,
}

impl Shape {
    /// Inspection has checked the types; a function of another shape is no callback of ours.
    fn of(ty: &ExternType) -> Option<Self> {
        let ty = ty.func()?;
        Some(match (ty.params().len(), ty.results().len()) {
            (1, 0) => Shape::One,
            (1, 1) => Shape::OneResult,
            (2, 0) => Shape::Two,
            (2, 1) => Shape::TwoResult,
            (3, 0) => Shape::Three,
            (3, 1) => Shape::ThreeResult,
            (5, 0) => Shape::Five,
            _ => return None,
        })
    }
}

/// A callback of one VM.
enum Export {
    Missing,
    /// Nobody has called it yet.
    Known(Shape, ModuleExport),
    Ready(Function),
}

/// A callback that can be called.
pub(super) enum Function {
    One(TypedFunc<u32, ()>),
    OneResult(TypedFunc<u32, u32>),
    Two(TypedFunc<(u32, u32), ()>),
    TwoResult(TypedFunc<(u32, u32), u32>),
    ThreeResult(TypedFunc<(u32, u32, u32), u32>),
    Three(TypedFunc<(u32, u32, u32), ()>),
    Five(TypedFunc<(u32, u32, u32, u32, u32), ()>),
}

/// What a module exports.
pub(super) struct ModuleExports {
    pub(super) callbacks: Callbacks,
    pub(super) memory: Option<ModuleExport>,
    /// Envoy prefers `malloc`; the specification says the opposite.
    pub(super) allocators: [Option<ModuleExport>; 2],
    pub(super) initialize: Option<ModuleExport>,
    pub(super) start: Option<ModuleExport>,
    pub(super) main: Option<ModuleExport>,
    pub(super) main_void: Option<ModuleExport>,
}

impl ModuleExports {
    pub(super) fn of(module: &Module) -> Self {
        let find = |name: &str| module.get_export_index(name);
        ModuleExports {
            callbacks: Callbacks::of_module(module),
            memory: imported::exported(module).and_then(|name| module.get_export_index(&name)),
            allocators: ["malloc", "proxy_on_memory_allocate"].map(find),
            initialize: find("_initialize"),
            start: find("_start"),
            main: find("main"),
            main_void: find("__main_void"),
        }
    }
}

/// The callbacks that a module exports: name, shape and place, by [`Callback::number`].
pub(super) struct Callbacks([Option<(String, Shape, ModuleExport)>; Callback::NAMES.len()]);

impl Callbacks {
    fn of_module(module: &Module) -> Self {
        Callbacks(Callback::NAMES.map(|name| {
            let export = Callback::export_of(name);
            let shape = Shape::of(&module.get_export(&export)?)?;
            let place = module.get_export_index(&export)?;
            Some((export, shape, place))
        }))
    }

    /// Those of an instance that its VM's configuration allows.
    pub(super) fn of(&self, instance: Instance, allowed: impl Fn(&str) -> bool) -> Exports {
        let exports = self.0.each_ref().map(|callback| match callback {
            Some((name, shape, place)) if allowed(name) => Export::Known(*shape, *place),
            _ => Export::Missing,
        });
        Exports { instance, exports }
    }
}

/// The callbacks of one VM, by [`Callback::number`].
pub(super) struct Exports {
    instance: Instance,
    exports: [Export; Callback::NAMES.len()],
}

impl Exports {
    /// `None`: the guest does not export it.
    pub(super) fn find<T>(&mut self, store: &mut Store<T>, callback: Callback) -> Option<&Function> {
        let export = self.exports.get_mut(callback.number())?;
        if let Export::Known(shape, place) = export {
            *export = resolve(store, self.instance, *shape, place).map_or(Export::Missing, Export::Ready);
        }
        match export {
            Export::Ready(function) => Some(function),
            Export::Missing | Export::Known(..) => None,
        }
    }
}

impl Function {
    /// A callback that returns nothing counts as having returned 0.
    pub(super) fn call<T>(
        &self,
        store: &mut Store<T>,
        context: u32,
        [a, b, c, d]: [u32; 4],
    ) -> wasmtime::Result<u32> {
        match self {
            Function::One(f) => f.call(store, context).map(|()| 0),
            Function::OneResult(f) => f.call(store, context),
            Function::Two(f) => f.call(store, (context, a)).map(|()| 0),
            Function::TwoResult(f) => f.call(store, (context, a)),
            Function::ThreeResult(f) => f.call(store, (context, a, b)),
            Function::Three(f) => f.call(store, (context, a, b)).map(|()| 0),
            Function::Five(f) => f.call(store, (context, a, b, c, d)).map(|()| 0),
        }
    }
}

fn resolve<T>(
    store: &mut Store<T>,
    instance: Instance,
    shape: Shape,
    place: &ModuleExport,
) -> Option<Function> {
    let function = function(store, instance, place)?;
    let typed = match shape {
        Shape::One => function.typed(&*store).map(Function::One),
        Shape::OneResult => function.typed(&*store).map(Function::OneResult),
        Shape::Two => function.typed(&*store).map(Function::Two),
        Shape::TwoResult => function.typed(&*store).map(Function::TwoResult),
        Shape::Three => function.typed(&*store).map(Function::Three),
        Shape::ThreeResult => function.typed(&*store).map(Function::ThreeResult),
        Shape::Five => function.typed(&*store).map(Function::Five),
    };
    typed.ok()
}

fn function<T>(store: &mut Store<T>, instance: Instance, place: &ModuleExport) -> Option<Func> {
    instance.get_module_export(store, place)?.into_func()
}

/// An exported function, where it has this type.
pub(super) fn typed<T, P: WasmParams, R: WasmResults>(
    store: &mut Store<T>,
    instance: Instance,
    place: Option<&ModuleExport>,
) -> Option<TypedFunc<P, R>> {
    function(store, instance, place?)?.typed(&*store).ok()
}

/// An exported memory.
pub(super) fn memory<T>(
    store: &mut Store<T>,
    instance: Instance,
    place: Option<&ModuleExport>,
) -> Option<Memory> {
    instance.get_module_export(store, place?)?.into_memory()
}
