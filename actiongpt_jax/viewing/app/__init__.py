"""The browser application: a server on this machine that generates motion."""
