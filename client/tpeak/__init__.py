"""tpeak: hyperparameter optimization from a server; this is the thin client."""
