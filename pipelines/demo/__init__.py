"""The synthetic company: sample data with planted friction and known answers."""
