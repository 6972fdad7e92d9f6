//! The callbacks that a guest exports, looked up once, and how each shape is called.

use wasmtime::{Func, Instance, Store, TypedFunc};

use crate::abi::Callback;

/// An export by the shape of its type: parameters, and whether it returns a number.
enum Export {
    One(TypedFunc<u32, ()>),
    OneResult(TypedFunc<u32, u32>),
    Two(TypedFunc<(u32, u32), ()>),
    TwoResult(TypedFunc<(u32, u32), u32>),
    ThreeResult(TypedFunc<(u32, u32, u32), u32>),
    Three(TypedFunc<(u32, u32, u32), ()>),
    Five(TypedFunc<(u32, u32, u32, u32, u32), ()>),
}

/// By [`Callback::number`].
pub(super) struct Exports([Option<Export>; Callback::NAMES.len()]);

impl Exports {
    /// Those of an instance that its VM's configuration allows.
    pub(super) fn of<T>(store: &mut Store<T>, instance: &Instance, allowed: impl Fn(&str) -> bool) -> Self {
        Exports(Callback::NAMES.map(|name| {
            let export = Callback::export_of(name);
            let function = instance.get_func(&mut *store, &export).filter(|_| allowed(&export))?;
            shape(store, &function)
        }))
    }

    pub(super) fn has(&self, callback: Callback) -> bool {
        self.find(callback).is_some()
    }

    fn find(&self, callback: Callback) -> Option<&Export> {
        self.0.get(callback.number())?.as_ref()
    }

    /// `None`: the guest does not export it. A callback that returns nothing counts as having returned 0.
    pub(super) fn call<T>(
        &self,
        store: &mut Store<T>,
        context: u32,
        callback: Callback,
    ) -> Option<wasmtime::Result<u32>> {
        let [a, b, c, d] = callback.arguments();
        Some(match self.find(callback)? {
            Export::One(f) => f.call(store, context).map(|()| 0),
            Export::OneResult(f) => f.call(store, context),
            Export::Two(f) => f.call(store, (context, a)).map(|()| 0),
            Export::TwoResult(f) => f.call(store, (context, a)),
            Export::ThreeResult(f) => f.call(store, (context, a, b)),
            Export::Three(f) => f.call(store, (context, a, b)).map(|()| 0),
            Export::Five(f) => f.call(store, (context, a, b, c, d)).map(|()| 0),
        })
    }
}

/// Inspection has checked the types; a function of another shape is no callback of ours.
fn shape<T>(store: &Store<T>, function: &Func) -> Option<Export> {
    let ty = function.ty(store);
    match (ty.params().len(), ty.results().len()) {
        (1, 0) => function.typed(store).ok().map(Export::One),
        (1, 1) => function.typed(store).ok().map(Export::OneResult),
        (2, 0) => function.typed(store).ok().map(Export::Two),
        (2, 1) => function.typed(store).ok().map(Export::TwoResult),
        (3, 0) => function.typed(store).ok().map(Export::Three),
        (3, 1) => function.typed(store).ok().map(Export::ThreeResult),
        (5, 0) => function.typed(store).ok().map(Export::Five),
        _ => None,
    }
}
