"""What journeys are made of: contacts, hand-offs, promises, SLAs, field requests."""
