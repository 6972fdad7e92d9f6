//! Shared queues of one process: every VM that knows a queue's number may use it, and one root is told of what comes in.
//!
//! proxy-wasm-cpp-host `src/shared_queue.cc`. Seen on Envoy 1.40: the last to register is the one that is told, once for
//! each entry, by an event of its own, whoever has emptied the queue meanwhile.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use crate::proxy::{
    ActiveContext, Proxy,
    core::{Due, Owner, VmIndex},
};
use crate::{
    abi::{CallResult, CallStatus, Callback, ContextId, QueueId},
    trace::FindingKind,
};

/// What one queue holds at most; Envoy has no limit. More is refused, and reported.
const BYTES_MAX: usize = 256 * 1024 * 1024;

/// The root that is told when something has come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Consumer {
    pub(crate) vm: VmIndex,
    pub(crate) root: ContextId,
}

#[derive(Debug)]
struct Queue {
    entries: VecDeque<Bytes>,
    bytes: usize,
    consumer: Consumer,
}

#[derive(Debug, Default)]
pub(crate) struct Queues {
    /// By the registrar's `vm_id` and the name.
    ids: BTreeMap<(String, Bytes), QueueId>,
    queues: BTreeMap<QueueId, Queue>,
}

/// Why nothing was added to a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refused {
    Unknown,
    Full,
}

impl Queues {
    /// The queue of that name, made if it is new. It keeps what it holds; the registrar takes over as its consumer.
    fn register(&mut self, vm_id: String, name: Bytes, consumer: Consumer) -> QueueId {
        let next = QueueId(u32::try_from(self.queues.len()).unwrap_or(u32::MAX).saturating_add(1));
        let id = *self.ids.entry((vm_id, name)).or_insert(next);
        let queue = self.queues.entry(id);
        queue.or_insert_with(|| Queue { entries: VecDeque::new(), bytes: 0, consumer }).consumer = consumer;
        id
    }

    /// The queues with what they hold, and nobody to be told.
    pub(crate) fn without_consumers(&self) -> Self {
        let nobody = Consumer { vm: VmIndex(usize::MAX), root: ContextId(0) };
        let left =
            |queue: &Queue| Queue { entries: queue.entries.clone(), bytes: queue.bytes, consumer: nobody };
        Queues {
            ids: self.ids.clone(),
            queues: self.queues.iter().map(|(id, queue)| (*id, left(queue))).collect(),
        }
    }

    fn resolve(&self, vm_id: &str, name: &[u8]) -> Option<QueueId> {
        self.ids.get(&(vm_id.to_owned(), Bytes::copy_from_slice(name))).copied()
    }

    /// Says who is to be told.
    fn enqueue(&mut self, id: QueueId, data: Bytes) -> Result<Consumer, Refused> {
        let queue = self.queues.get_mut(&id).ok_or(Refused::Unknown)?;
        let bytes = queue.bytes.saturating_add(data.len()).saturating_add(size_of::<Bytes>());
        if bytes > BYTES_MAX {
            return Err(Refused::Full);
        }
        queue.bytes = bytes;
        queue.entries.push_back(data);
        Ok(queue.consumer)
    }

    fn dequeue(&mut self, id: QueueId) -> CallResult<Bytes> {
        let queue = self.queues.get_mut(&id).ok_or(CallStatus::NotFound)?;
        let data = queue.entries.pop_front().ok_or(CallStatus::Empty)?;
        queue.bytes = queue.bytes.saturating_sub(data.len()).saturating_sub(size_of::<Bytes>());
        Ok(data)
    }
}

impl ActiveContext {
    pub(in crate::proxy) fn register_queue_here(&mut self, name: Bytes) -> QueueId {
        let root = self.core.plugins[self.effective_plugin().0].root;
        let (vm_id, consumer) = (self.vm_id(), Consumer { vm: self.vm, root });
        self.core.queues.register(vm_id, name, consumer)
    }

    pub(in crate::proxy) fn resolve_queue_here(&self, vm_id: &[u8], name: &[u8]) -> CallResult<QueueId> {
        let own = self.vm_id();
        let vm_id = if vm_id.is_empty() {
            &own
        } else {
            std::str::from_utf8(vm_id).map_err(|_| CallStatus::NotFound)?
        };
        self.core.queues.resolve(vm_id, name).ok_or(CallStatus::NotFound)
    }

    pub(in crate::proxy) fn enqueue_here(&mut self, queue: QueueId, data: Bytes) -> CallResult {
        match self.core.queues.enqueue(queue, data) {
            Ok(consumer) => {
                self.core.due.push((std::time::Duration::ZERO, Due::QueueReady { consumer, queue }));
                Ok(())
            }
            Err(Refused::Unknown) => Err(CallStatus::NotFound),
            Err(Refused::Full) => {
                let text = format!("queue {} holds {BYTES_MAX} bytes: the entry was dropped", queue.0);
                self.finding(FindingKind::BoundReached, text);
                Ok(())
            }
        }
    }

    pub(in crate::proxy) fn dequeue_here(&mut self, queue: QueueId) -> CallResult<Bytes> {
        self.core.queues.dequeue(queue)
    }
}

impl Proxy {
    /// Tells a queue's consumer, unless its VM has died or the context is gone.
    pub(in crate::proxy) fn queue_ready(&mut self, consumer: Consumer, queue: QueueId) {
        let core = self.core_mut();
        let Some(vm) = core.vms.get(consumer.vm.0) else {
            return;
        };
        let Some(Owner::Root(plugin)) = vm.contexts.get(&consumer.root).copied() else {
            return;
        };
        if vm.fault.is_some() {
            return;
        }
        let callback = Callback::QueueReady { queue: queue.0 };
        self.call_guest(plugin, consumer.root, callback);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn consumer(root: u32) -> Consumer {
        Consumer { vm: VmIndex(0), root: ContextId(root) }
    }

    #[test]
    fn registering_again_takes_over_the_queue_with_what_it_holds() {
        let mut queues = Queues::default();
        let id = queues.register("vm".to_owned(), "q".into(), consumer(1));
        assert_eq!(queues.enqueue(id, "a".into()), Ok(consumer(1)));
        assert_eq!(queues.register("vm".to_owned(), "q".into(), consumer(2)), id);
        assert_eq!(queues.enqueue(id, "b".into()), Ok(consumer(2)));
        assert_eq!(queues.dequeue(id), Ok("a".into()));
        assert_eq!(queues.dequeue(id), Ok("b".into()));
        assert_eq!(queues.dequeue(id), Err(CallStatus::Empty));
    }

    #[test]
    fn numbers_count_from_one_over_all_vms_and_an_unknown_one_is_not_found() {
        let mut queues = Queues::default();
        assert_eq!(queues.register("a".to_owned(), "q".into(), consumer(1)), QueueId(1));
        assert_eq!(queues.register("b".to_owned(), "q".into(), consumer(1)), QueueId(2));
        assert_eq!(queues.resolve("b", b"q"), Some(QueueId(2)));
        assert_eq!(queues.resolve("c", b"q"), None);
        assert_eq!(queues.enqueue(QueueId(3), Bytes::new()), Err(Refused::Unknown));
        assert_eq!(queues.dequeue(QueueId(0)), Err(CallStatus::NotFound));
    }

    #[test]
    fn a_queue_that_is_full_takes_nothing_more() {
        let mut queues = Queues::default();
        let id = queues.register(String::new(), "q".into(), consumer(1));
        let big = Bytes::from(vec![0; BYTES_MAX / 2]);
        assert_eq!(queues.enqueue(id, big.clone()), Ok(consumer(1)));
        assert_eq!(queues.enqueue(id, big), Err(Refused::Full));
    }
}
