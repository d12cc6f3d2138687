"""What X is: where it lives, how it is stored, and how one strip of it is read, checked and cast."""
