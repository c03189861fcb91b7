"""A full run, both ways: ``python src/main.py``."""

from pipeline.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
