//! What is written is read by the official messages.

mod answers;
mod examples;
mod lines;
mod official;
mod whole;
