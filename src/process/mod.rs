//! Processes: locks, trees, signals, confinement. The only place that names `nix` and `duct`.
