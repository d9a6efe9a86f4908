"""Exports from torch: the graphs of a model as modules that record, and one writer for each format."""
