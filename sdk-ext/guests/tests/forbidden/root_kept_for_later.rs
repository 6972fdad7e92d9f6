//! What may be done on a tick is done on that tick.
use std::cell::RefCell;
use wayside_sdk::Root;

struct Later(RefCell<Option<&'static mut Root>>);

impl Later {
    fn on_tick(&self, root: &mut Root) {
        self.0.replace(Some(root));
    }
}

fn main() {}
