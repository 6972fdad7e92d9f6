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
        (0..EXCHANGES).fold(chain([filter]), |proxy, _| proxy.on(get("/").header("x-api-key", "k-3f9a1c7e")));
    let run = || proxy.tracing(trace).run().expect("it starts");
    let before = ALLOCATIONS.get();
    let replay = run();
    let counted = ALLOCATIONS.get() - before;
    assert_eq!(replay.outcomes().count() as u64, EXCHANGES);
    counted
}

/// The exchanges of a replay; each makes five hundred calls more in one of two runs that are compared.
const EXCHANGES: u64 = 100;

/// What five hundred calls more in each of the exchanges add.
fn added(kind: &str, trace: TraceLevel) -> u64 {
    // The first run makes what is made once for the process.
    allocations(kind, 10, trace);
    let few = allocations(kind, 10, trace);
    allocations(kind, 510, trace).saturating_sub(few)
}

// The start of a replay, which is counted too, takes a few more in some runs than in others. One for each call would be fifty
// thousand; one for each exchange a hundred.

#[test]
fn a_hostcall_of_numbers_allocates_nothing_in_the_host() {
    let added = added("number", TraceLevel::Off);
    assert!(added < EXCHANGES, "{added}");
}

#[test]
fn a_hostcall_that_reads_a_header_allocates_nothing_in_the_host() {
    let added = added("bytes", TraceLevel::Off);
    assert!(added < EXCHANGES, "{added}");
}

#[test]
fn what_is_traced_is_kept_and_so_is_counted() {
    assert!(added("number", TraceLevel::On) > EXCHANGES, "or the counter does not count");
}
