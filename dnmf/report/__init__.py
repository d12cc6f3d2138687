"""What is shown of a run: facts in words, figures, the animation."""
