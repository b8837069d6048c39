//! Agents: the roles that a job can be given, and the prompt made from one.
