"""The disk fails, once at every file operation: nothing is lost, nothing half-written, and the next run mends it.

``python -m tests.faults`` plays all faults; the tests here play some of them.
"""
