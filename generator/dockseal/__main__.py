"""Run the command line as `python -m dockseal`."""

from dockseal.cli import main

if __name__ == "__main__":
    main()
