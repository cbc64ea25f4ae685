"""The forms in which servers answer: texts, and failures."""
