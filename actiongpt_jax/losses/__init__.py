"""Training losses, each a set of named terms (sum, count)."""
