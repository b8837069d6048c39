//! From a file to a [`Plan`]: one module for each form.
mod tree;
