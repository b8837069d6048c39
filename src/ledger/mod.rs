//! The ledger: events, append, fold, snapshot.
