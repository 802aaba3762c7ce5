"""The process: signals, memory, open files, file modes."""
