"""The shipped recipes, written against the public API alone. Installed as `framework.recipes`."""
