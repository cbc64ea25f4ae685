"""Motion files, labels and batches on the host."""
