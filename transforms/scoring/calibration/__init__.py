"""What the ends of journeys say about the weights of friction; it proposes and applies nothing."""
