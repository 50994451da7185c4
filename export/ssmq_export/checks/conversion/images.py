"""Windows and pools over (batch, height, width, channels)."""

from __future__ import annotations

from collections.abc import Iterator

from ...dataflow.attributes import integers_attribute
from ...dataflow.datatype import bits, integer_range
from ...dataflow.keys import QONNX_DOMAIN, SCAN_DOMAIN
from .site import Site
from .table import converts


def _missing(site: Site, *names: str) -> Iterator[str]:
    for name in names:
        if not site.given(name):
            yield f"has no attribute {name}"


def _image(site: Site) -> Iterator[str]:
    shape = site.shape()
    if shape is not None and len(shape) != 4:
        yield f"has {len(shape)} dimensions, and FINN wants (batch, height, width, channels)"


def _one_image(site: Site) -> Iterator[str]:
    shape = site.shape()
    if shape is not None and len(shape) == 4 and shape[0] != 1:
        yield f"has {shape[0]} images, and FINN counts on one: export with batch 1"


@converts("Im2Col", becomes="ConvolutionInputGenerator", domain=QONNX_DOMAIN, integers=(0,))
def im2col(site: Site) -> Iterator[str]:
    """Four dimensions; padded with zeros, of one image."""
    yield from _missing(site, "kernel_size", "stride", "input_shape")
    yield from _image(site)
    if any(site.integers("pad_amount") or ()):
        yield from _one_image(site)
        if site.integer("pad_value", 0):
            yield "pads with something other than 0"


def _pool(site: Site, kernel: list[int] | None, stride: list[int] | None) -> Iterator[str]:
    yield from _image(site)
    yield from _one_image(site)
    if kernel is None or stride is None or len(kernel) != 2 or len(stride) != 2:
        yield "has no kernel and strides of two dimensions"
    elif kernel[0] < stride[0] or kernel[1] < stride[1]:
        yield f"has strides {stride} beyond its kernel {kernel}, and FINN no hardware for it"


def _maximum(site: Site) -> Iterator[str]:
    limits = integer_range(site.datatype())
    if any(site.integers("pads") or ()) and limits is not None and limits[0] < 0:
        yield f"pads signed data ({site.datatype()}), and FINN pads with 0 only: make it unsigned"
    if (
        site.integer("ceil_mode", 0)
        or any(n != 1 for n in site.integers("dilations") or ())
        or site.text("auto_pad", "NOTSET") != "NOTSET"
    ):
        yield "has ceil_mode, dilations or auto_pad, which FINN does not read"


@converts("MaxPoolNHWC", becomes="ConvolutionInputGenerator and Pool", domain=QONNX_DOMAIN, integers=(0,))
def max_pool_channels_last(site: Site) -> Iterator[str]:
    """Four dimensions, one image, strides up to the kernel; padded only if unsigned."""
    yield from _missing(site, "pads")
    yield from _pool(site, site.integers("kernel_shape"), site.integers("strides"))
    yield from _maximum(site)


@converts("MaxPool", becomes="Shuffle, ConvolutionInputGenerator, Pool and Shuffle", integers=(0,))
def max_pool(site: Site) -> Iterator[str]:
    """As MaxPoolNHWC, channels first: the transpositions around it must find other operators."""
    yield from _pool(site, site.integers("kernel_shape"), site.integers("strides"))
    yield from _maximum(site)
    yield from _transposed(site)


def _transposed(site: Site) -> Iterator[str]:
    reader = site.only_reader
    if reader is not None and integers_attribute(reader, "perm") == [0, 2, 3, 1] and site.view.is_last(reader):
        yield "is turned to channels last by the last operator of the graph, and FINN stops at it: pool channels last"
    if site.is_first():
        yield "is the first operator and has channels first: FINN leaves its transposition on the host; use channels last"


@converts("QuantAvgPool2d", becomes="ConvolutionInputGenerator and Pool", domain=QONNX_DOMAIN, integers=(0,))
def mean_pool(site: Site) -> Iterator[str]:
    """Four dimensions, one image, stride up to the kernel; ibits and signed must be those of its data."""
    yield from _missing(site, "kernel", "stride", "ibits", "obits", "signed")
    kernel, stride = site.integer("kernel", 0), site.integer("stride", 0)
    yield from _pool(site, [kernel] * 2, [stride] * 2)
    limits = integer_range(site.datatype())
    if limits is not None and (limits[0] < 0) != bool(site.integer("signed", 0)):
        yield f"is {'' if site.integer('signed', 0) else 'not '}signed, and its data is {site.datatype()}"
    elif limits is not None and bits(site.datatype()) != site.integer("ibits", 0):
        yield f"has ibits {site.integer('ibits', 0)}, and its data is {site.datatype()}"
    if site.text("data_layout", "NCHW") == "NCHW":
        yield from _transposed(site)


@converts("ReduceSum", becomes="GlobalAccPool", integers=(0,))
def reduce_sum(site: Site) -> Iterator[str]:
    """The sum over height and width of four dimensions: axes [1, 2]; those of size 1 may be named or not."""
    shape, axes = site.shape(), site.listed(1)
    if SCAN_DOMAIN in site.view.opsets or shape is None:
        return  # time-sum judges the sequence graph
    named = {axis % 4 for axis in axes or ()}
    if len(shape) != 4 or axes is None or any(shape[axis] > 1 for axis in named ^ {1, 2}):
        listed = "computed axes" if axes is None else f"axes {axes[:4]}"
        yield f"sums {shape} over {listed}, and FINN over axes [1, 2] of four dimensions"


@converts("ReduceMax", "ReduceMean", becomes="Pool")
def reduce_window(site: Site) -> Iterator[str]:
    """Over the windows of an Im2Col, unpacked by a Reshape: the last axis but one."""
    before = site.producer
    source = site.view.producers.get(before.input[0], [None])[0] if before is not None and before.input else None
    sizes = site.view.numbers(before.input[1]) if before is not None and len(before.input) > 1 else None
    unpacked = before is not None and before.op_type == "Reshape" and source is not None and source.op_type == "Im2Col"
    if not unpacked or sizes is None or site.listed(1) not in ([-2], [sizes.size - 2]):
        yield "is converted only over the windows of an Im2Col (Im2Col, Reshape, and this over axis -2)"


@converts("Upsample", becomes="UpsampleNearestNeighbour", integers=(0,))
def upsample(site: Site) -> Iterator[str]:
    """Nearest neighbours of data marked as NHWC (qonnx: InferDataLayouts), by scales (1, h, w, 1)."""
    scales = site.constant(1)
    yield from _image(site)
    if site.text("mode", "nearest") != "nearest" or not site.given("mode"):
        yield "does not repeat the nearest (mode)"
    elif site.view.layouts.get(site.node.input[0]) != ["N", "H", "W", "C"]:
        yield "reads data whose layout is not marked as NHWC, and FINN leaves it: mark it (qonnx: InferDataLayouts)"
    elif scales is None or scales.size != 4 or scales.ravel()[0] != 1 or scales.ravel()[3] != 1 or scales.min() < 1:
        yield "has scales other than a constant (1, h, w, 1) from 1 on"
