"""Character-level text generation, after the TensorFlow tutorial."""
