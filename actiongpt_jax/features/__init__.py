"""Motion representations that networks read and write, with their inverses."""
