"""Weights as named NumPy arrays: how they start, how they are kept in files, how Keras' and torch's layouts map. Knows no backend."""
