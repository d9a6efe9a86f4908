"""What a backend promises: no TensorFlow and no torch here."""
