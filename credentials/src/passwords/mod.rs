//! Passwords and keys, of which only digests are stored.
