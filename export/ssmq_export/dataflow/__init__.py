"""The ground of the package: what a graph is, whoever reads it. Nothing here imports another room.

keys.py           operator domains and keys of the metadata
graph_view.py     a graph by tensor name: producers, consumers, shapes, types, constants
attributes.py, constants.py, text.py   nodes, tensors and texts of foreign files
datatype.py, format.py                 integer types and formats
ranges.py, grids.py                    exact ranges of codes, and of values on their grids
sequences.py      sequences with and without a dimension for channels

ports.py          what goes in and out, and what is kept from step to step
graph.py          a dataflow graph as ports and operations
operation.py      what one node does
recognition.py    which operation a node is
rows.py           thresholds as shifts, multiplications or tables, proved
hardware.py       the parts that an operation is made of
folding.py        lanes, cycles, latency, and where a graph keeps its foldings
forks.py          tensors with several readers, and which of them wait
forms.py, stages.py                    chains of sums and products as one; what is stored between them
scan_operands.py, diagonal_scan.py     what a DiagonalScan is given, and what it computes
"""
