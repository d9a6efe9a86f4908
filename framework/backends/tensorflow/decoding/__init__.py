"""Decoding on TensorFlow: the layers' step forms, and the step put together from them."""
