//! Guests for the host's tests: see `examples/`. There is nothing in the library itself.
