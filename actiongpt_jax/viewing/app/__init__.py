"""Browser application: a local server that generates motions on request."""
