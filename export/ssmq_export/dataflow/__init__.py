"""The ground of the package: what a graph is, whoever reads it. Nothing here imports another room.

    keys.py           operator domains and keys of the metadata
    graph_view.py     a graph by tensor name: producers, consumers, shapes, types, constants
    attributes.py, constants.py, text.py   nodes, tensors and texts of foreign files
    datatype.py, format.py, grids.py       integer types, formats, grids and exact ranges
    states.py         the states' ports
    rows.py           thresholds as shifts, multiplications or tables, proved
    forms.py          chains of linear nodes as one sparse sum
    scan_operands.py, diagonal_scan.py     what a DiagonalScan is given, and what it computes
    sequences.py      sequences with and without a dimension for channels
"""
