"""The engines, a module each, named as in ENGINE: a function ``connect`` makes an Engine of the address."""
