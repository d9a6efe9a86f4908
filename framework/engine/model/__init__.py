"""A trained run as a model: opened, measured, converted, exported."""
