//! Mutated modules through inspection, load and replay. Half of the mutations keep the module valid, half are bytes of chance.

#![no_main]

#[allow(dead_code, unused_imports, reason = "the tests use more of it than one target does")]
#[path = "../../test-host/tests/it/hostile_guests/generated/mod.rs"]
mod generated;

use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use wasm_mutate::WasmMutate;

/// What the host decodes itself is small; a large module only takes long to compile.
const BYTES_MAX: usize = 64 * 1024;

fuzz_target!(|bytes: &[u8]| {
    if bytes.len() <= BYTES_MAX {
        generated::module(bytes);
    }
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    if seed % 2 == 0 {
        return fuzzer_mutate(data, size, max_size);
    }
    match mutated(&data[..size], seed) {
        Some(module) if module.len() <= max_size => {
            data[..module.len()].copy_from_slice(&module);
            module.len()
        }
        _ => fuzzer_mutate(data, size, max_size),
    }
});

/// Another module that is as valid as this one; what is none gives way to one, so that an empty corpus will do.
fn mutated(module: &[u8], seed: u32) -> Option<Vec<u8>> {
    // wasm-mutate panics over what is not valid.
    if wasmparser::validate(module).is_err() {
        return generated::seeds().into_iter().nth(seed as usize / 2 % 2);
    }
    let mut mutate = WasmMutate::default();
    let mut modules = mutate.seed(seed.into()).fuel(1000).run(module).ok()?;
    modules.next()?.ok()
}
