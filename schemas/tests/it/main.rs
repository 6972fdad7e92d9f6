//! Schemas are current, agree with the readers, and keep what a version once promised.

mod agreement;
mod current;
mod documents;
mod generated;
mod places;
mod versions;
