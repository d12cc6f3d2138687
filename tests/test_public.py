"""What `import dnmf` offers, by all the names under which it has been public."""

import importlib

import dnmf
from dnmf.formats.convert import convert


def test_every_public_name_is_there_and_listed():
    assert set(dnmf.__all__) <= set(dir(dnmf))
    assert all(getattr(dnmf, name) is not None for name in dnmf.__all__)
    assert dnmf.__version__


def test_convert_is_found_under_its_name_and_in_the_module_that_it_was_in():
    assert dnmf.convert is importlib.import_module("dnmf.convert").convert is convert
