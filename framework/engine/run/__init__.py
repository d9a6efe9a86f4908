"""A run's life: prepared, found again, trained, recorded, finished in order."""
