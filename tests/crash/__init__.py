"""The crash matrix: the program is killed before and after each change that it makes outside, and started again."""
