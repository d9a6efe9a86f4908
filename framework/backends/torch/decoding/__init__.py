"""Decoding on torch: the layers' step forms, and the step put together from them."""
