"""Sentences of any kind of data: cleaned, numbered, held out, and put into batches."""
