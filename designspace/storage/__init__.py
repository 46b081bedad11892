"""Files that are written atomically, the cache of expensive tensors, and locks between processes."""
