//! Configuration files and the trust in what a repository brings along.
