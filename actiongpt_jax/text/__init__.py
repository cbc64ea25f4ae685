"""From phrases to embeddings: descriptions, text encoders, stores."""
