//! A hostcall costs no allocation where nobody asked for a trace. The allocator of this binary counts, each thread for itself.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    path::Path,
};

use wayside::{build::Guest, trace::TraceLevel};

use crate::support::{Filter, chain, get};

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

#[expect(unsafe_code, reason = "an allocator is unsafe; this one hands everything on, and counts")]
// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        unsafe { System.realloc(ptr, layout, size) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        unsafe { System.dealloc(ptr, layout) }
    }
}

fn count() {
    // A thread that ends may free and allocate when its counter is gone.
    let _ = ALLOCATIONS.try_with(|counted| counted.set(counted.get() + 1));
}

/// Allocations of a replay whose one filter makes a hostcall this often for each of a hundred exchanges.
fn allocations(kind: &str, times: u32, trace: TraceLevel) -> u64 {
    let guest = Guest::package("wayside-probes").example("bench-price");
    let guest = guest.manifest_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("probes"));
    let module = guest.build().expect("it builds").path;
    let filter = Filter::of("price", &module).configured(&format!("{kind} {times}"));
    let proxy =
        (0..100).fold(chain([filter]), |proxy, _| proxy.on(get("/").header("x-api-key", "k-3f9a1c7e")));
    let run = || proxy.tracing(trace).run().expect("it starts");
    let before = ALLOCATIONS.get();
    let replay = run();
    let counted = ALLOCATIONS.get() - before;
    assert_eq!(replay.outcomes().count(), 100);
    counted
}

/// What five hundred calls more in each of a hundred exchanges add.
fn added(kind: &str, trace: TraceLevel) -> u64 {
    // What is made once for the process, and what a table grows by, come in some runs and not in others.
    let fewest = |times| (0..3).map(|_| allocations(kind, times, trace)).min().unwrap_or(0);
    allocations(kind, 10, trace);
    let few = fewest(10);
    fewest(510).saturating_sub(few)
}

#[test]
fn a_hostcall_of_numbers_allocates_nothing_in_the_host() {
    assert_eq!(added("number", TraceLevel::Off), 0);
}

#[test]
fn a_hostcall_that_reads_a_header_allocates_nothing_in_the_host() {
    assert_eq!(added("bytes", TraceLevel::Off), 0);
}

#[test]
fn what_is_traced_is_kept_and_so_is_counted() {
    assert!(added("number", TraceLevel::On) > 0, "or the counter does not count");
}
