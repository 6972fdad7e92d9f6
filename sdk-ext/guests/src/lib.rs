//! Nothing: the guests are the examples, each a module of its own.
