//! When a key set is fetched, kept and given up: one fetch for all workers, whatever tokens come.
