"""What a model is trained for: what it must give, what it is measured by, what a sample of it is."""
