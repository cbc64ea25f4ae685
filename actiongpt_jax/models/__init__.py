"""TEMOS and its parts, and the reader of the authors' checkpoints."""
