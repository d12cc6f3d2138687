"""What is at a path or URL. Whose array or run is there is not looked at."""
