"""The command line as ``python -m paincast``."""

from paincast.cli import main

if __name__ == "__main__":
    main()
