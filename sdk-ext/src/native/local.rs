//! Statics of one VM: in wasm they are the module's, natively each VM has its own of them.

use super::entered::running;
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::rc::Rc;

/// What [`vm_local!`](crate::vm_local!) declares natively: it is used as a `LocalKey` is.
#[derive(Debug)]
pub struct VmLocal<T: 'static> {
    make: fn() -> T,
}

/// The statics of one VM, by the address of their declaration.
#[derive(Default)]
pub(super) struct Locals(RefCell<BTreeMap<usize, Rc<dyn Any>>>);

impl Locals {
    /// Drops what they hold, until nothing is left: what is dropped may use others.
    pub(super) fn clear(&self) {
        while let Some((_, last)) = { self.0.borrow_mut().pop_last() } {
            drop(last);
        }
    }
}

impl<T: 'static> VmLocal<T> {
    #[must_use]
    pub const fn new(make: fn() -> T) -> VmLocal<T> {
        VmLocal { make }
    }

    pub fn with<R>(&'static self, look: impl FnOnce(&T) -> R) -> R {
        let locals = running().locals();
        let known = locals.0.borrow().get(&self.key()).cloned();
        let value = known.and_then(|known| known.downcast::<T>().ok()).unwrap_or_else(|| {
            let made = Rc::new((self.make)());
            let before = locals.0.borrow_mut().insert(self.key(), made.clone());
            drop(before);
            made
        });
        look(&value)
    }

    /// As `LocalKey` has it; natively there is always a value.
    ///
    /// # Errors
    /// Never.
    pub fn try_with<R>(&'static self, look: impl FnOnce(&T) -> R) -> Result<R, Infallible> {
        Ok(self.with(look))
    }

    fn key(&'static self) -> usize {
        std::ptr::from_ref(self).addr()
    }
}

impl<T: 'static> VmLocal<Cell<T>> {
    pub fn get(&'static self) -> T
    where
        T: Copy,
    {
        self.with(Cell::get)
    }

    pub fn set(&'static self, value: T) {
        self.with(|cell| cell.set(value));
    }

    pub fn replace(&'static self, value: T) -> T {
        self.with(|cell| cell.replace(value))
    }

    pub fn take(&'static self) -> T
    where
        T: Default,
    {
        self.with(Cell::take)
    }
}

impl<T: 'static> VmLocal<RefCell<T>> {
    pub fn with_borrow<R>(&'static self, look: impl FnOnce(&T) -> R) -> R {
        self.with(|cell| look(&cell.borrow()))
    }

    pub fn with_borrow_mut<R>(&'static self, look: impl FnOnce(&mut T) -> R) -> R {
        self.with(|cell| look(&mut cell.borrow_mut()))
    }

    pub fn replace(&'static self, value: T) -> T {
        self.with(|cell| cell.replace(value))
    }

    pub fn take(&'static self) -> T
    where
        T: Default,
    {
        self.with(RefCell::take)
    }
}
