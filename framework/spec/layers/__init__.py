"""Layer kinds, one a file. A kind is what ``kind:`` names in YAML; it never is an import path."""
