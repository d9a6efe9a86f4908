"""A sequence classifier for Gatework."""
