"""Runs beside publications and beside each other: reproduction and parity."""
