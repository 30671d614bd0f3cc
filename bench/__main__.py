"""Run the measurements: `python -m bench`."""

from bench.render import main

if __name__ == "__main__":
    main()
