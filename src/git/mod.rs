//! Git: repositories, worktrees, commits, merges. The only place that names `git2`.
