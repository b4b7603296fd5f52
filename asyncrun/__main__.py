"""`python -m asyncrun` is `asyncrun`."""

from asyncrun.cli import main

if __name__ == "__main__":
    main()
