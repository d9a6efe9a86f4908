"""What a model sees of images: computed once, kept in the cache folder, and read from there."""
