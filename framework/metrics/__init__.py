"""What a model is measured by, in NumPy or plain Python. Knows no backend."""
