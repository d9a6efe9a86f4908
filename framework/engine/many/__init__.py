"""Many runs: sweeps, searches, the list of all, what is cleared away and delivered."""
