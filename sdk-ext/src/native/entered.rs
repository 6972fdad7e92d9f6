//! Which VM's code runs on this thread, and who answers its hostcalls.

use super::{Constructor, local::Locals};
use crate::hostcalls::Status;
use crate::plugin::Callbacks;
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

/// A host's answers to the hostcalls of a native VM.
pub trait Imports {
    /// `import` is the name as in a module, `arguments` are in the order of the ABI; signed numbers without their sign's
    /// extension. An address is one of this process, and a size, or the place for one, has the width of a `usize`. What is
    /// returned to the filter lies in memory of [`internal::allocate`](crate::internal::allocate), and is the filter's then.
    fn call(&self, import: &'static str, arguments: &[u64]) -> u32;
}

/// The VM whose code runs on a thread now; outside any, the thread's own.
#[derive(Default)]
pub(super) struct Running {
    locals: RefCell<Rc<Locals>>,
    imports: RefCell<Option<Rc<dyn Imports>>>,
    /// A filter was asked in this callback, and does nothing in it.
    left: Cell<bool>,
    /// A filter was asked in this callback, and has code for it.
    acted: Cell<bool>,
}

thread_local! {
    static RUNNING: Rc<Running> = Rc::default();
}

pub(super) fn running() -> Rc<Running> {
    // A thread that ends has nothing running any more.
    RUNNING.try_with(Rc::clone).unwrap_or_default()
}

impl Running {
    pub(super) fn locals(&self) -> Rc<Locals> {
        self.locals.borrow().clone()
    }
}

/// A native VM: a plugin's callbacks with statics of its own.
pub struct Vm {
    callbacks: Option<Box<dyn Callbacks>>,
    locals: Rc<Locals>,
}

impl fmt::Debug for Vm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vm").finish_non_exhaustive()
    }
}

impl Vm {
    #[must_use]
    pub fn new(make: Constructor) -> Vm {
        let locals = Rc::<Locals>::default();
        let callbacks = {
            let _entered = Entered::begin(locals.clone(), None);
            make()
        };
        Vm { callbacks: Some(callbacks), locals }
    }

    /// Runs one callback, whose hostcalls `imports` answers.
    ///
    /// # Errors
    /// The payload of a panic; in wasm the module would have trapped. The panic hook has run by then, and what was dropped
    /// after it reached no host: nothing of that is run in wasm.
    pub fn enter<R>(
        &self,
        imports: Rc<dyn Imports>,
        callback: impl FnOnce(&dyn Callbacks) -> R,
    ) -> Result<Answer<R>, Box<dyn Any + Send>> {
        let Some(callbacks) = &self.callbacks else { unreachable!("only a drop takes them") };
        crate::panic::hook_into_the_process();
        let entered = Entered::begin(self.locals.clone(), Some(imports));
        let answer = catch_unwind(AssertUnwindSafe(|| callback(&**callbacks)))?;
        let idle = entered.running.left.get() && !entered.running.acted.get();
        Ok(Answer { value: answer, idle })
    }
}

/// What came of a callback.
#[derive(Clone, Copy, Debug)]
pub struct Answer<R> {
    pub value: R,
    /// All that was asked is what its filter left as the trait defines it: a finished module has no code for this callback,
    /// and exports it only to hold back what comes while a message waits.
    pub idle: bool,
}

/// As a module's memory vanishes: nobody hears of what is dropped.
impl Drop for Vm {
    fn drop(&mut self) {
        let callbacks = self.callbacks.take();
        let _entered = Entered::begin(self.locals.clone(), None);
        let locals = self.locals.clone();
        // A filter that panics when it is dropped would not even be asked in wasm.
        let _ = catch_unwind(AssertUnwindSafe(|| {
            drop(callbacks);
            locals.clear();
        }));
    }
}

/// A VM has the thread, until this is dropped; then the one before has it again.
struct Entered {
    running: Rc<Running>,
    locals: Rc<Locals>,
    imports: Option<Rc<dyn Imports>>,
    left: bool,
    acted: bool,
}

impl Entered {
    fn begin(locals: Rc<Locals>, imports: Option<Rc<dyn Imports>>) -> Entered {
        let running = running();
        let (locals, imports) = (running.locals.replace(locals), running.imports.replace(imports));
        let (left, acted) = (running.left.replace(false), running.acted.replace(false));
        Entered { running, locals, imports, left, acted }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let imports = self.running.imports.replace(self.imports.take());
        let locals = self.running.locals.replace(self.locals.clone());
        drop((imports, locals));
        self.running.left.set(self.left);
        self.running.acted.set(self.acted);
    }
}

/// A hostcall.
pub(crate) fn call(import: &'static str, arguments: &[u64]) -> u32 {
    // Cloned: the host may enter the VM again before it answers.
    let imports = running().imports.borrow().clone();
    imports.map_or(Status::UNIMPLEMENTED.0, |imports| imports.call(import, arguments))
}

/// Whether a host answers now.
pub(crate) fn is_entered() -> bool {
    running().imports.borrow().is_some()
}

/// From here to the end of the callback no hostcall reaches the host: in wasm nothing more would run.
pub fn silence() {
    let imports = running().imports.take();
    drop(imports);
}

/// Has a filter look at something, and remembers whether it has code for that.
pub(crate) fn offer<R>(ask: impl FnOnce() -> R) -> R {
    let running = running();
    let before = running.left.replace(false);
    let answer = ask();
    if !running.left.get() {
        running.acted.set(true);
    }
    running.left.set(running.left.get() || before);
    answer
}

/// Said by the callbacks as the trait defines them.
pub(crate) fn left_as_it_is() {
    running().left.set(true);
}
