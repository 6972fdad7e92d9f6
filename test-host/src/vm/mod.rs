//! Where guest code is looked at and run.

pub mod import_table;
pub mod module;
