"""First look at new logs: propose a configuration and check it on a sample."""
