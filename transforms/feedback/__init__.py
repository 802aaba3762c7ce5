"""Experience data (X): what somebody felt or said, joined to journeys that are scored already."""
