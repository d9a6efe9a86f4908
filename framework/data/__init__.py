"""Reading and preparing data: corpora, vocabularies, windows, batches. NumPy, and light libraries where they are used."""
