"""From phrases to embeddings: prompts, descriptions, text encoders and stores."""
