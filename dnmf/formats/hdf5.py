"""HDF5: any dataset with two axes, wherever in the file it is."""

from collections.abc import Iterator
from pathlib import Path

from dnmf.formats.contents import Array, Contents, Shape, chosen, cuts


def read_hdf5(path: Path, dataset: str | None, _scratch: Path) -> Contents:
    """Read a dataset of an HDF5 file."""
    try:
        import h5py  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise ImportError(f'{path} is an HDF5 file and h5py is missing: pip install "dnmf[hdf5]"') from error
    if not h5py.is_hdf5(path):
        raise ValueError(f"{path} is no HDF5 file: its suffix says that it is; rename it or write it with h5py")
    shapes: dict[str, Shape] = {}

    def note(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            shapes[name] = item.shape or ()

    def strips() -> Iterator[Array]:
        with h5py.File(path) as file:
            for start, stop in cuts(shapes[name], dtype):
                yield file[name][start:stop]

    with h5py.File(path) as file:
        file.visititems(note)
        name = chosen(path, dataset and dataset.strip("/"), shapes)
        dtype = file[name].dtype
    return Contents(shapes[name], dtype, strips())
