"""Motion files, labels and motion stores on the host, and batches made from them."""
