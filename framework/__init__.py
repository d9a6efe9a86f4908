"""Gatework: gated recurrent sequence models from YAML, as native Keras and native PyTorch Lightning models."""
