"""Non-negative matrix factorization, X ≈ W V, of Zarr matrices larger than memory: one read of X per iteration.

What is public is listed in `__init__.pyi`, and imported when it is used: `import dnmf.rules` loads neither Dask nor
Zarr.
"""

import sys
from types import ModuleType

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

# `from dnmf.convert import convert`, as before the function was public as `dnmf.convert`: the same one.
vars(sys.modules.setdefault("dnmf.convert", ModuleType("dnmf.convert")))["__getattr__"] = __getattr__
