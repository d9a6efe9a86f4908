"""The command line. Light verbs import no backend and answer in well under a second."""
