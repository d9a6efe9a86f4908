"""Several processes of one training: found as somebody started them, or started here."""
