"""The command line, one file per command. What it calls is public; what it prints is here."""
