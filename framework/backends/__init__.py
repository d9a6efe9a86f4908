"""The two backends, each behind its own floor, and what they have in common."""
