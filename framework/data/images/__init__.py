"""Images: found in folders and archives, and decoded to pixels."""
