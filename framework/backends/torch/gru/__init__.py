"""The documented GRU on PyTorch: its surface, its scan over time, and the choice of the fastest way to run it."""
