"""Choosing the next tokens, written once for every backend over ``step(tokens, state) -> logits, state``. NumPy alone."""
