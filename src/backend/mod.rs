//! Backends: what is started for a job, and what its output means.
