//! Behaviour of the host as one binary: one file a subject.

mod traffic;
