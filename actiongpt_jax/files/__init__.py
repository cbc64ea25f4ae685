"""Files of foreign and of own formats: written whole, and read without executing."""
