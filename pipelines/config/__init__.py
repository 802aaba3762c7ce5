"""Settings: typed, validated once, read from `rejse.toml` and the files it names."""
