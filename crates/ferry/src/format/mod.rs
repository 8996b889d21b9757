//! How results are shown to people and scripts: sizes, ages, tables, JSON and Go templates.

pub(crate) mod age;
pub(crate) mod json;
pub(crate) mod list;
pub(crate) mod quote;
pub(crate) mod size;
pub(crate) mod table;
pub(crate) mod template;
pub(crate) mod when;
