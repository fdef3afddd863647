//! An append-only, hash-chained file with group commit: intents here, release records and latches in the gateway.
