"""The process: signals, limits of memory and open files, file modes, safe text."""
