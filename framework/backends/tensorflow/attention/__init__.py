"""Attention over a memory on TensorFlow: its equations, its loops over time, and a decoder that attends at every step."""
