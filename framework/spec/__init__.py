"""The vocabulary of a config: frozen, backend-neutral pydantic models. Imports pydantic and nothing heavier."""
