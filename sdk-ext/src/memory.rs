//! The allocator of a module: a free list for each power of two. Constant time, and a tenth of the code of the standard
//! library's.
//!
//! What a filter allocates lives for one request and has the same few sizes, so a freed block is soon wanted again as it is:
//! blocks are never split or joined. A module holds, for every size, as many blocks as were in use at once.

#![allow(unsafe_code, reason = "an allocator hands out memory by address")]
#![allow(
    clippy::arithmetic_side_effects,
    reason = "addresses that the heap itself counted, and shifts by a class"
)]

use std::alloc::Layout;
use std::ptr::null_mut;

/// 16 bytes: room for the address of the next free block, and enough alignment for everything but vectors.
const SMALLEST: u32 = 4;
const PAGE: usize = 0x1_0000;

/// A block's first word while it is free.
type Next = *mut u8;

/// Memory in one piece or several, as `more` gives it.
pub(crate) struct Heap {
    /// By the logarithm of the size.
    free: [Next; usize::BITS as usize],
    /// What was never handed out, as addresses.
    fresh: *mut u8,
    left: usize,
}

impl Heap {
    pub(crate) const fn new() -> Heap {
        Heap { free: [null_mut(); usize::BITS as usize], fresh: null_mut(), left: 0 }
    }

    /// The class of a layout, `None` for what is beyond memory.
    fn class(layout: Layout) -> Option<usize> {
        let last = layout.size().max(layout.align()).max(1 << SMALLEST) - 1;
        // Blocks lie at multiples of their size up to a page, so that is the most alignment there is.
        (layout.align() <= PAGE).then_some((usize::BITS - last.leading_zeros()) as usize)
    }

    /// Null when there is no more memory. `more` gives the address of that many bytes, a multiple of a page that begins at a
    /// page.
    pub(crate) fn take(&mut self, layout: Layout, more: impl FnMut(usize) -> Option<*mut u8>) -> *mut u8 {
        let Some(class) = Heap::class(layout) else { return null_mut() };
        let Some(list) = self.free.get_mut(class) else { return null_mut() };
        let block = *list;
        if block.is_null() {
            return self.carve(class, more);
        }
        // SAFETY: a block in the list is nobody's, and was written by `give`.
        *list = unsafe { block.cast::<Next>().read() };
        block
    }

    #[cold]
    fn carve(&mut self, class: usize, mut more: impl FnMut(usize) -> Option<*mut u8>) -> *mut u8 {
        let Some(size) = 1_usize.checked_shl(class as u32) else { return null_mut() };
        let align = size.min(PAGE);
        // Up to the next multiple, blocks of the sizes that fit there.
        while self.left >= 1 << SMALLEST && !(self.fresh as usize).is_multiple_of(align) {
            self.cut((self.fresh as usize).trailing_zeros() as usize);
        }
        if self.left < size {
            let Some(bytes) = size.checked_next_multiple_of(PAGE) else { return null_mut() };
            let Some(fresh) = more(bytes) else { return null_mut() };
            if self.fresh.wrapping_add(self.left) == fresh {
                self.left += bytes;
            } else {
                // What was left is lost; only if somebody else took memory in between.
                (self.fresh, self.left) = (fresh, bytes);
            }
        }
        let block = self.fresh;
        (self.fresh, self.left) = (block.wrapping_add(size), self.left - size);
        block
    }

    /// Puts the next fresh bytes into a list.
    fn cut(&mut self, class: usize) {
        let (block, size) = (self.fresh, 1 << class);
        (self.fresh, self.left) = (block.wrapping_add(size), self.left - size);
        // SAFETY: these bytes were never handed out.
        unsafe { self.push(block, class) };
    }

    /// # Safety
    /// `block` came from [`take`](Self::take) with this layout, and nobody uses it any more.
    pub(crate) unsafe fn give(&mut self, block: *mut u8, layout: Layout) {
        if let Some(class) = Heap::class(layout) {
            // SAFETY: what the caller promised.
            unsafe { self.push(block, class) };
        }
    }

    /// # Safety
    /// `block` has the size of its class, and is nobody's.
    unsafe fn push(&mut self, block: *mut u8, class: usize) {
        if let Some(list) = self.free.get_mut(class) {
            // SAFETY: every block has room for an address, and is aligned to 16 at least.
            unsafe { block.cast::<Next>().write(*list) };
            *list = block;
        }
    }

    /// Whether a block of the one layout is one of the other as it stands.
    pub(crate) fn fits(old: Layout, new: Layout) -> bool {
        Heap::class(old) == Heap::class(new)
    }
}

#[cfg(all(target_arch = "wasm32", target_os = "unknown", feature = "allocator"))]
mod global {
    use super::{Heap, PAGE};
    use std::alloc::{GlobalAlloc, Layout};
    use std::cell::UnsafeCell;
    use std::ptr::copy_nonoverlapping;

    struct Module(UnsafeCell<Heap>);

    // SAFETY: a module for Proxy-Wasm has one thread.
    unsafe impl Sync for Module {}

    #[global_allocator]
    static MEMORY: Module = Module(UnsafeCell::new(Heap::new()));

    fn more(bytes: usize) -> Option<*mut u8> {
        match std::arch::wasm32::memory_grow::<0>(bytes / PAGE) {
            usize::MAX => None,
            page => Some((page * PAGE) as *mut u8),
        }
    }

    // Not inlined: what is saved where a size is known is paid for in bytes at every allocation.
    // SAFETY: blocks of the heap are apart from each other, large enough and aligned; nothing here panics.
    unsafe impl GlobalAlloc for Module {
        #[inline(never)]
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            // SAFETY: one thread, and the heap calls nobody that allocates.
            unsafe { (*self.0.get()).take(layout, more) }
        }

        #[inline(never)]
        unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
            // SAFETY: as above, and what the caller promises.
            unsafe { (*self.0.get()).give(block, layout) }
        }

        unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
            // SAFETY: the caller promises a size that is a layout's with this alignment.
            let new = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
            if Heap::fits(layout, new) {
                return block;
            }
            // SAFETY: two blocks of these sizes, and the first is given up once.
            unsafe {
                let moved = self.alloc(new);
                if !moved.is_null() {
                    copy_nonoverlapping(block, moved, layout.size().min(size));
                    self.dealloc(block, layout);
                }
                moved
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::alloc::{alloc, dealloc};

    /// Pages of the test's own, one piece after the other.
    struct Arena {
        start: *mut u8,
        layout: Layout,
        used: usize,
    }

    impl Arena {
        fn new(pages: usize) -> Arena {
            let layout = Layout::from_size_align(pages * PAGE, PAGE).expect("pages");
            // SAFETY: the layout has a size.
            Arena { start: unsafe { alloc(layout) }, layout, used: 0 }
        }

        fn more(&mut self, bytes: usize) -> Option<*mut u8> {
            assert!(bytes > 0 && bytes.is_multiple_of(PAGE));
            let end = self.used.checked_add(bytes).filter(|end| *end <= self.layout.size())?;
            let piece = self.start.wrapping_add(std::mem::replace(&mut self.used, end));
            Some(piece)
        }
    }

    impl Drop for Arena {
        fn drop(&mut self) {
            // SAFETY: allocated with this layout.
            unsafe { dealloc(self.start, self.layout) };
        }
    }

    fn layout(size: usize, align: usize) -> Layout {
        Layout::from_size_align(size, align).expect("a layout")
    }

    proptest! {
        #[test]
        fn blocks_are_apart_aligned_and_keep_what_is_written(
            steps in proptest::collection::vec((0..3_usize, 1..90_000_usize, 0..14_u32, any::<u8>()), 1..200)
        ) {
            let (mut heap, mut arena) = (Heap::new(), Arena::new(400));
            let mut live: Vec<(*mut u8, Layout, u8)> = Vec::new();
            for (what, size, align, mark) in steps {
                if what > 0 || live.is_empty() {
                    let layout = layout(size >> (size % 13), 1 << align);
                    let block = heap.take(layout, |bytes| arena.more(bytes));
                    if !block.is_null() {
                        prop_assert!((block as usize).is_multiple_of(layout.align()));
                        // SAFETY: the block has the layout's size.
                        unsafe { block.write_bytes(mark, layout.size()) };
                        live.push((block, layout, mark));
                    }
                } else {
                    let (block, layout, mark) = live.swap_remove(size % live.len());
                    // SAFETY: it was written when it was taken, and is given back once.
                    unsafe {
                        let kept = std::slice::from_raw_parts(block, layout.size()).iter().all(|byte| *byte == mark);
                        prop_assert!(kept, "{layout:?}");
                        heap.give(block, layout);
                    }
                }
            }
        }
    }

    #[test]
    fn the_same_requests_again_need_no_more_memory() {
        let (mut heap, mut arena) = (Heap::new(), Arena::new(16));
        let mut round = |arena: &mut Arena| {
            let sizes = [1, 16, 17, 100, 4000, 70_000, 3];
            let blocks = sizes.map(|size| heap.take(layout(size, 1), |bytes| arena.more(bytes)));
            for (block, size) in blocks.into_iter().zip(sizes) {
                assert!(!block.is_null());
                // SAFETY: taken above with this layout.
                unsafe { heap.give(block, layout(size, 1)) };
            }
        };
        round(&mut arena);
        let used = arena.used;
        for _ in 0..1000 {
            round(&mut arena);
        }
        assert_eq!(arena.used, used);
    }

    #[test]
    fn what_is_beyond_memory_is_null() {
        let (mut heap, mut arena) = (Heap::new(), Arena::new(1));
        for (size, align) in [(isize::MAX as usize - 1, 1), (PAGE + 1, 1), (1, 2 * PAGE)] {
            assert!(heap.take(layout(size, align), |bytes| arena.more(bytes)).is_null(), "{size} {align}");
        }
        assert!(!heap.take(layout(PAGE, 1), |bytes| arena.more(bytes)).is_null());
        assert!(heap.take(layout(1, 1), |bytes| arena.more(bytes)).is_null());
    }

    #[test]
    fn a_block_of_the_same_class_grows_in_place() {
        assert!(Heap::fits(layout(17, 1), layout(32, 1)) && Heap::fits(layout(1, 1), layout(16, 8)));
        assert!(!Heap::fits(layout(32, 1), layout(33, 1)));
    }
}
