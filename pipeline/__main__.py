"""``python -m pipeline``."""

from pipeline.cli import program

if __name__ == "__main__":
    raise SystemExit(program())
