"""The authors' PyTorch checkpoints: read, recognised, converted and verified."""
