//! `cx backends`

mod catalog;

pub(super) use catalog::Catalog;
