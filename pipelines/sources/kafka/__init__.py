"""Topics of Kafka: what was read of them, and the client of their brokers."""
