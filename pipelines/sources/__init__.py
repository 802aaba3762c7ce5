"""Source files: find, decompress, read as Arrow batches, remember positions."""
