"""A full run, both ways: ``python src/main.py``."""

from pipeline.cli import program

if __name__ == "__main__":
    raise SystemExit(program())
