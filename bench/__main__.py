"""Run the measurements: `python -m bench`."""

from bench import render, scripts

if __name__ == "__main__":
    render.main()
    scripts.main()
