"""The life of a run: folder, lock, preparation, training, checkpoints, finish, use."""
