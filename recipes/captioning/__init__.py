"""Image captioning with visual attention, after the TensorFlow tutorial."""
