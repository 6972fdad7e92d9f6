//! What Envoy refuses to load, the replay refuses too, for the same reason.
