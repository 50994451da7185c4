"""Every name to import says what it takes and gives, with an example that runs as it stands."""

from __future__ import annotations

import doctest

import pytest
import ssmq_brevitas
import ssmq_export
import torch

PUBLIC = {
    f"{package.__name__}.{name}": getattr(package, name) for package in (ssmq_brevitas, ssmq_export) for name in package.__all__
}
METHODS = {
    f"{layer.__name__}.{name}": getattr(layer, name)
    for layer in (ssmq_brevitas.S4D, ssmq_brevitas.QuantS4D, ssmq_export.IntegerModel)
    for name in ("forward", "step")
}


@pytest.mark.parametrize("name", PUBLIC | METHODS)
def test_the_example_of(name, tmp_path, monkeypatch):
    documented = (PUBLIC | METHODS)[name]
    # What an example does not import itself a reader would have to guess.
    example = doctest.DocTestParser().get_doctest(documented.__doc__ or "", {}, name, None, None)
    assert example.examples, "no example"
    torch.manual_seed(0)
    monkeypatch.chdir(tmp_path)
    told: list[str] = []
    found = doctest.DocTestRunner().run(example, out=told.append)
    assert not found.failed, "".join(told)
    assert not list(tmp_path.iterdir()), "an example leaves nothing behind"
