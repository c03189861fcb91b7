"""How fast the pipeline is, measured side by side with a floor and with what people would write or use instead.

``python -m benchmarks`` runs the whole suite; ``python -m benchmarks.throughput`` compares with the floor alone.

- ``place``: a database and folders for one measurement, and the orders in them
- ``ours``: the pipeline, its chains or the whole command
- ``floor``: the loop that it is measured by; ``peers``, ``loaders``, ``frameworks``, ``with_...``: what else there is
- ``sides``: who of these is compared, on which indexes; the lanes
- ``work``: one piece of work in a process of its own, timed
- ``suite``: all comparisons, A B A B; ``goals``: what is to be reached
- ``report``: the tables, the JSON and the plot
- ``engine``: a script of its own: what an engine costs, the run apart from its workers
"""
