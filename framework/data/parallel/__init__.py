"""Pairs of sentences: read, cleaned, held out, numbered, and put into batches."""
