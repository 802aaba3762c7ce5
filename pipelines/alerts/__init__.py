"""Alerts: rules over live rows, the ledger of what fired, delivery."""
