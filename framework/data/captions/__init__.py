"""Images with captions: read, held out, numbered, and put into batches."""
