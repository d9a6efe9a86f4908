"""What a loss means in other units. NumPy alone."""
