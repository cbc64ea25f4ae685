"""The built-in corpus: motion, phrases and descriptions made by a program."""
