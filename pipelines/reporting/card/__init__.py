"""The card of a customer, for whoever takes the next contact."""
