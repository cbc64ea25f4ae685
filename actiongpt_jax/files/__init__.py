"""Reads files without running code in them, and writes files whole or not at all."""
