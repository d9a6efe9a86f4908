"""Attention over a memory on PyTorch: its equations, its loops over time, and a decoder that attends at every step."""
