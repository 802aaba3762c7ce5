"""Read-only answers for people: explain a journey, calibrate, audit links, report."""
