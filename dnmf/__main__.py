"""`python -m dnmf` and the console script."""

from dnmf.cli.main import main

if __name__ == "__main__":
    main()
