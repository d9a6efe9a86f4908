"""Translation with attention, after the TensorFlow tutorial."""
