"""The recipes in data/: scripts outside the package, loaded from their paths and run as their command line would."""

import doctest
import gzip
import importlib.util
import subprocess
import sys
import xml.etree.ElementTree as ET
from io import BytesIO
from pathlib import Path

import anndata
import msgpack
import numpy as np
import pytest
import zarr
from PIL import Image
from scipy import sparse
from scipy.io import wavfile
from scipy.signal import ShortTimeFFT
from scipy.signal.windows import hann

import dnmf

DATA = Path(__file__).parents[2] / "data"


@pytest.fixture
def recipe(monkeypatch):
    """Load data/<name>.py as running it would: with its folder first on the path."""
    monkeypatch.syspath_prepend(DATA)

    def load(name):
        spec = importlib.util.spec_from_file_location(f"recipe_{name}", DATA / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


def _run(module, out, capsys, *options):
    """Run a recipe that fetches and return its X; skip, with its sentence, where the registry is out of reach."""
    status = module.main(["--out", str(out), *options])
    error = capsys.readouterr().err
    if "was not fetched" in error:
        assert (status, error.count("\n"), list(out.parent.iterdir())) == (1, 1, [])
        pytest.skip(error.strip())
    assert (status, error) == (0, "")
    return zarr.open(out, mode="r")


def _noise(samples, *, seed=0):
    return np.random.default_rng(seed).integers(-9000, 9000, samples, dtype=np.int16)


def _wav(samples, *, rate=8000):
    content = BytesIO()
    wavfile.write(content, rate, samples)
    return content.getvalue()


# digits: no network


@pytest.mark.process
def test_digits_from_the_command_line(tmp_path):
    command = [sys.executable, DATA / "digits.py", "--out", "digits.zarr"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    X = zarr.open_array(tmp_path / "digits.zarr", mode="r")
    assert done.stdout.startswith("digits.zarr: 1797 × 64 float32, ")
    assert (X.shape, X.dtype, X[:].min(), X[:].max()) == ((1797, 64), np.float32, 0, 16)
    assert (X.attrs["licence"], len(X.attrs["labels"]), X.attrs["image_shape"]) == ("BSD-3-Clause", 1797, [8, 8])
    assert [path.name for path in tmp_path.iterdir()] == ["digits.zarr"]


def test_an_existing_output_is_refused_and_left_alone(recipe, tmp_path, capsys):
    out = tmp_path / "digits.zarr"
    out.mkdir()
    assert recipe("digits").main(["--out", str(out)]) == 1
    expected = f"{out} exists and is not overwritten: remove it, or choose another --out\n"
    assert capsys.readouterr().err == expected
    assert list(out.iterdir()) == []


def test_an_output_without_a_folder_is_refused(recipe, tmp_path, capsys):
    out = tmp_path / "missing" / "digits.zarr"
    assert recipe("digits").main(["--out", str(out)]) == 1
    expected = f"{out} cannot be written, {out.parent} is no folder: create it, or choose another --out\n"
    assert capsys.readouterr().err == expected


RECIPES = [path.stem for path in sorted(DATA.glob("*.py")) if path.stem not in ("counts", "fetch")]


@pytest.mark.parametrize("name", RECIPES)
def test_help_states_source_licence_and_default_output(recipe, name, capsys):
    with pytest.raises(SystemExit, match="0"):
        recipe(name).main(["--help"])
    text = capsys.readouterr().out
    assert all(word in text for word in ("Source: ", "Licence: ", "Components: ", f"data/{name}.zarr"))


# What the recipes share


@pytest.mark.parametrize(
    "name",
    ["chorales", "counts", "fetch", "leukaemia", "pbmc", "pines", "ratings", "signatures", "speech", "voices", "words"],
)
def test_the_examples_in_the_docstrings_hold(recipe, name):
    results = doctest.testmod(recipe(name))
    assert (results.failed, results.attempted > 0) == (0, True)


def test_an_unfinished_store_is_invisible_and_a_failed_one_leaves_nothing(recipe, tmp_path):
    out, publishing = tmp_path / "X.zarr", recipe("fetch").publishing

    def fail():
        with publishing(out, shape=(4, 3), dtype="f4", attributes={}) as array:
            array[:2] = 1
            assert not out.exists()
            raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        fail()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("rows", "height"), [(1, 1), (7, 3), (9, 3), (2, 5)])
def test_row_blocks_are_whole_chunks_that_cover_all_rows_once(recipe, rows, height):
    blocks = list(recipe("fetch").row_blocks(rows, height))
    assert [row for first, last in blocks for row in range(first, last)] == list(range(rows))
    assert all(first % height == 0 and last - first <= height for first, last in blocks)


@pytest.mark.long
def test_a_failed_fetch_is_one_sentence(recipe, tmp_path):
    fetch = recipe("fetch")
    with pytest.raises(
        ConnectionError, match=r"^lda was not fetched: pip says '.+'; check the network and run this aga"
    ):
        fetch._call([sys.executable, "-m", "pip", "download", "--no-index", "-q", "lda"], "lda", str(tmp_path))
    with pytest.raises(
        ConnectionError, match=r"^sounds was not fetched: no-such-tool is not installed; run this on De"
    ):
        fetch._call(["no-such-tool", "download", "sounds"], "sounds", str(tmp_path))
    with pytest.raises(ConnectionError, match=r"run apt-get update \(as root\), check the network and run this again$"):
        fetch._call([sys.executable, "-c", "import sys; sys.exit('E: no such package')"], "sounds", str(tmp_path))


# documents: the format


def test_counts_are_read_from_the_ldac_format(recipe):
    X = recipe("documents").counts("2 0:3 2:1\n1 1:7\n", 4)
    np.testing.assert_array_equal(X, [[3, 0, 1, 0], [0, 7, 0, 0]])


def test_a_torn_line_of_the_ldac_format_is_refused(recipe):
    with pytest.raises(ValueError, match="document 1 holds 1 words, its line says 2: fetch the file again"):
        recipe("documents").counts("1 0:1\n2 1:7\n", 4)


# orl_faces: the files


def _pgm(grey, *, translated=False):
    content = b"P5\n92 112\n255\n" + grey
    return content.replace(b"\n", b"\r\n") if translated else content


@pytest.mark.parametrize("translated", [False, True])
def test_portraits_are_read_also_where_line_ends_were_translated(recipe, translated):
    grey = np.random.default_rng(0).integers(0, 256, 112 * 92, dtype=np.uint8)
    image = recipe("orl_faces").pixels(_pgm(grey.tobytes(), translated=translated))
    assert (image.shape, image.dtype) == ((112, 92), np.uint8)
    np.testing.assert_array_equal(image.ravel(), grey)


def test_a_portrait_keeps_its_own_pair_of_13_and_10(recipe):
    grey = np.tile(np.arange(40, 132, dtype=np.uint8), 112)  # rows that are alike
    grey[[500, 5000, 9000]] = 10
    grey[[4999, 5000]] = 13, 10
    own, rest = grey[:4999].tobytes(), grey[5001:].tobytes()
    pgm = _pgm(own, translated=True) + b"\r\n" + rest.replace(b"\n", b"\r\n")
    np.testing.assert_array_equal(recipe("orl_faces").pixels(pgm).ravel(), grey)


@pytest.mark.parametrize("pgm", [_pgm(bytes(10303)), b"P6\n92 112\n255\n" + bytes(10304), b""])
def test_a_portrait_of_another_size_or_kind_is_refused(recipe, pgm):
    with pytest.raises(ValueError, match=r"a portrait holds \d+ pixels, not 10304: fetch the file again"):
        recipe("orl_faces").pixels(pgm)


# swimmer: no network


def test_swimmers_are_a_torso_and_four_limbs(recipe, tmp_path):
    recipe("swimmer").write(tmp_path / "X.zarr")
    X = zarr.open_array(tmp_path / "X.zarr", mode="r")
    limbs, poses = np.array(X.attrs["limbs"]), X[:]
    assert (X.shape, X.dtype, limbs.shape, X.attrs["image_shape"]) == ((256, 1024), np.float32, (16, 6), [32, 32])
    assert len(np.unique(limbs)) == 96
    assert len(np.unique(poses, axis=0)) == 256
    assert set(np.unique(poses)) == {0, 1}
    # Each limb is in a quarter of the pictures, whole; the torso is what else there is.
    np.testing.assert_array_equal(poses[:, limbs].all(axis=2), poses[:, limbs].any(axis=2))
    np.testing.assert_array_equal(poses[:, limbs[:, 0]].sum(axis=0), 64)
    np.testing.assert_array_equal(poses[:, limbs[:, 0]].sum(axis=1), 4)
    assert np.delete(poses, limbs, axis=1).all(axis=0).sum() == 16
    assert np.linalg.matrix_rank(poses) == 13


# pbmc: counts from their logarithms


def test_what_is_no_count_is_refused(recipe):
    with pytest.raises(ValueError, match=r"a count is 0\.40 away from an integer: use the file of scanpy==1\.11\.5"):
        recipe("pbmc").counts(sparse.csr_array(np.log1p([[1.4, 3.0]])), np.array([10_000.0]))


@pytest.mark.parametrize("total", [500, 2557, 20_000])
def test_counts_follow_from_their_rounded_logarithms(recipe, total):
    pbmc, totals = recipe("pbmc"), np.array([total])
    X = sparse.csr_array(np.arange(251.0)[None, :])
    rounded = sparse.csr_array(pbmc.logs(X, totals).toarray().round(3))
    np.testing.assert_array_equal(pbmc.counts(rounded, totals).toarray(), X.toarray())


# ratings: what is learned from, and what is tested with


@pytest.mark.parametrize("seed", [0, 3])
def test_ratings_are_cut_in_two_that_share_none(recipe, seed):
    X = sparse.random_array((30, 40), density=0.2, rng=np.random.default_rng(1), format="csr")
    train, test = recipe("ratings").split(X, seed=seed)
    assert (train.shape, test.shape, train.nnz, test.nnz) == ((30, 40), (30, 40), 192, 48)
    np.testing.assert_array_equal((train + test).toarray(), X.toarray())
    again = recipe("ratings").split(X, seed=seed)[1]
    assert (again != test).nnz == 0
    assert (recipe("ratings").split(X, seed=seed + 1)[1] != test).nnz > 0


# pines: what is withheld


def test_every_pixel_and_band_of_the_image_keeps_something(recipe):
    mask = recipe("pines").withheld((145, 145)).reshape(145, 145, 200)
    assert 0.1 < mask.mean() < 0.15
    assert not mask.all(axis=2).any()
    assert not mask.all(axis=(0, 1)).any()
    # A lost line is lost in all of its columns, in the bands of one spectrometer at least.
    lines = mask.all(axis=1)
    assert {sum(lines[:, band]) for band in (0, 199)} == {15}
    assert mask[40:70, 60:90, 0].all()


# newsgroups, reuters and words: sparse counts


def test_a_sparse_matrix_is_a_group_that_dnmf_reads(recipe, tmp_path):
    counts, out = recipe("counts"), tmp_path / "X.zarr"
    X = sparse.csr_array(np.array([[0, 2, 0], [1, 0, 0], [0, 0, 0], [0, 1, 3]], "f4"))
    known = {"known": np.array([1, 0, 0, 1], "i1")}
    counts.publish_sparse(X, out, attributes={"source": "here"}, columns=["a", "b", "c"], rows=known)
    assert [path.name for path in tmp_path.iterdir()] == ["X.zarr"]
    np.testing.assert_array_equal(counts.read_sparse(out).toarray(), X.toarray())
    result = dnmf.factorize(out, rank=2)
    assert result.labels.columns.tolist() == ["a", "b", "c"]
    assert result.relative_error < 0.3
    assert zarr.open_group(out, mode="r")["known"][:].tolist() == [1, 0, 0, 1]


def test_texts_without_a_class_are_left_out(recipe):
    header = "Category\tText\nd\tstring\nclass\t\n"
    assert recipe("counts").classified(f"{header}\t\na\tone two\nb\tthree\n") == [("a", "one two"), ("b", "three")]


def test_a_list_of_words_is_cut_where_it_is_long_enough(recipe, monkeypatch):
    words = recipe("words")
    monkeypatch.setattr(words, "PER_LANGUAGE", 3)
    content = gzip.compress(msgpack.dumps([{"format": "cB"}, ["the", "that"], [], ["4711", "with", "have", "from"]]))
    assert words.frequent(content) == [(0, "that"), (2, "with"), (2, "have")]


def test_trigrams_add_up_to_the_letters_of_words(recipe):
    words = ["anna", "banana", "ñandú"]
    X, names = recipe("words").trigrams(words, at_least=1)
    np.testing.assert_array_equal(X.sum(axis=1), [len(word) for word in words])
    assert X.toarray()[1, names.index("ana")] == 2
    assert sorted(np.array(names)[X.toarray()[2] > 0]) == sorted(["·ña", "ñan", "and", "ndú", "dú·"])


# speech: the spectrogram


@pytest.mark.parametrize("hop", [4, 128, 512])
def test_spectra_agree_with_scipy(recipe, hop):
    speech, signal = recipe("speech"), _noise(3000)
    rows = speech.frame_count(len(signal), hop)
    # ShortTimeFFT centres frame p on sample p · hop and starts where the window first touches the signal.
    reference = ShortTimeFFT(hann(512, sym=False), hop=1, fs=8000).stft(signal / 32768, p0=256, p1=3000 - 255)
    np.testing.assert_allclose(
        speech.spectra(signal, 0, rows, hop=hop), np.abs(reference.T[::hop]), rtol=2e-5, atol=2e-5
    )


def test_spectra_agree_with_a_direct_fourier_sum(recipe):
    signal, t = _noise(1024), np.arange(512)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * t / 512)
    frame = signal[3 * 100 : 3 * 100 + 512] / 32768 * window
    direct = np.abs(np.exp(-2j * np.pi * np.outer(np.arange(257), t) / 512) @ frame)
    (row,) = recipe("speech").spectra(signal, 3, 4, hop=100)
    assert row.dtype == np.float32
    np.testing.assert_allclose(row, direct, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize(("hop", "rows"), [(128, 95_542), (4, 3_057_317), (512, 23_886)])
def test_frames_of_all_prompts_are_counted_before_any_is_computed(recipe, hop, rows):
    samples = 12_229_778
    assert recipe("speech").frame_count(samples, hop) == rows
    assert (rows - 1) * hop + 512 <= samples < rows * hop + 512


def test_frames_run_on_from_one_prompt_to_the_next(recipe):
    speech, signal = recipe("speech"), _noise(2000)
    files = [("a.wav", _wav(signal[:700])), ("b.wav", _wav(signal[700:710])), ("c.wav", _wav(signal[710:]))]
    np.testing.assert_array_equal(speech.joined(files), signal)


def test_a_prompt_of_another_rate_is_refused(recipe):
    with pytest.raises(
        ValueError, match=r"a\.wav is 1-dimensional int16 at 16000 Hz, not 16-bit mono at 8000 Hz: use the"
    ):
        recipe("speech").joined([("a.wav", _wav(_noise(600), rate=16_000))])


def test_blocks_of_a_spectrogram_make_the_whole(recipe, tmp_path):
    speech, signal = recipe("speech"), _noise(40_000)
    speech.write_spectra(signal, tmp_path / "X.zarr", hop=4)
    X = zarr.open_array(tmp_path / "X.zarr", mode="r")
    assert (X.shape, X.chunks, X.dtype) == ((9873, 257), (8160, 257), np.float32)
    np.testing.assert_array_equal(X[:], speech.spectra(signal, 0, 9873, hop=4))
    described = {"sample_rate": 8000, "hop": 4, "window": "hann", "window_length": 512, "licence": "CC-BY-SA-3.0"}
    assert described.items() <= dict(X.attrs).items()
    assert [path.name for path in tmp_path.iterdir()] == ["X.zarr"]


@pytest.mark.parametrize("hop", ["0", "513", "4.5", "-1", "many"])
def test_a_hop_that_leaves_samples_out_is_a_usage_error(recipe, hop, capsys):
    with pytest.raises(SystemExit, match="2"):
        recipe("speech").main([f"--hop={hop}"])
    assert f"{hop!r} is not a whole number from 1 to 512 (samples between frames)" in capsys.readouterr().err


# voices and sources


def test_training_leaves_out_the_test_sentences(recipe, tmp_path):
    voices = recipe("voices")
    recordings = {f"{number}.wav": _noise(24_000, seed=number) for number in range(9)}
    voices.write_training(recordings, tmp_path / "X.zarr", voice="june")
    X = zarr.open_array(tmp_path / "X.zarr", mode="r")
    signal = np.concatenate([recordings[f"{number}.wav"] for number in range(1, 8)])
    assert voices.test_sentences(recordings) == ["0.wav", "8.wav"]
    assert (X.shape, X.attrs["voice"], X.attrs["hop"]) == ((328, 257), "june", 512)
    np.testing.assert_array_equal(X[:], recipe("speech").spectra(signal, 0, 328, hop=512))


@pytest.mark.parametrize("negative", [False, True])
def test_a_picture_is_half_black_and_of_mean_1(recipe, negative):
    content = BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (96, 200), dtype=np.uint8)).save(content, "PNG")
    grey = recipe("sources").picture(content.getvalue(), negative=negative)
    assert (grey.shape, grey.min(), round(grey.mean(), 12)) == ((4096,), 0, 1)
    assert 0.4 < np.mean(grey == 0) < 0.6


# chorales: scores, MIDI files and the spectrogram


def _part(*notes):
    """A part of MusicXML at 2 divisions a quarter, of pairs: a duration, and a step with its octave or None."""
    texts = []
    for duration, pitch, *tie in notes:
        sound = f"<pitch><step>{pitch[0]}</step><octave>{pitch[1]}</octave></pitch>" if pitch else "<rest/>"
        texts.append(f"<note>{sound}<duration>{duration}</duration>{''.join(tie)}</note>")
    return ET.fromstring(f"<part><attributes><divisions>2</divisions></attributes>{''.join(texts)}</part>")


def test_a_voice_has_rests_and_its_tied_notes_are_one(recipe):
    part = _part((2, "C4"), (1, None), (4, "A4", '<tie type="start"/>'), (3, "A4", '<tie type="stop"/>'))
    assert recipe("chorales").voice(part) == [(0, 1, 60), (1.5, 5, 69)]


def test_a_midi_file_holds_a_tempo_and_a_track_for_each_voice(recipe):
    content = recipe("chorales").midi([[(0, 1, 60)], [(0, 2, 48), (2, 3, 50)]])
    assert content[:14] == b"MThd" + bytes([0, 0, 0, 6, 0, 1, 0, 3, 1, 224])
    assert content.count(b"MTrk") == 3
    assert bytes([0x91, 48, 90, 0x87, 0x40, 0x81, 48, 0, 0, 0x91, 50, 90]) in content


def test_spectra_of_chorales_agree_with_a_direct_fourier_sum(recipe):
    chorales, t = recipe("chorales"), np.arange(1024)
    signal = np.random.default_rng(0).normal(size=3000).astype("f4")
    direct = np.abs(
        np.exp(-2j * np.pi * np.outer(np.arange(513), t) / 1024) @ (signal[160:1184] * np.sin(np.pi * t / 1024) ** 2)
    )
    (row,) = chorales.spectra(signal, 2, 3, hop=80)
    np.testing.assert_allclose(row, direct, rtol=1e-4, atol=1e-4)


# The recipes that fetch: the real package, or a skip that says why


@pytest.mark.network
def test_faces(recipe, tmp_path, capsys):
    X = _run(recipe("faces"), tmp_path / "X.zarr", capsys)
    assert (X.shape, X.dtype, X.attrs["image_shape"]) == ((200, 625), np.float64, [25, 25])
    assert X[:].min() >= 0
    assert X[:].max() <= 1


@pytest.mark.network
def test_orl_faces(recipe, tmp_path, capsys):
    X = _run(recipe("orl_faces"), tmp_path / "X.zarr", capsys)
    assert (X.shape, X.dtype, X.attrs["image_shape"]) == ((400, 10304), np.uint8, [112, 92])
    assert X.attrs["labels"] == [1 + row // 10 for row in range(400)]
    assert (X[:].min(), X[:].max()) == (0, 251)
    # A pixel that was inserted shifts all behind it: then pictures differ more from one row of theirs to the next.
    images = X[:].reshape(400, 112, 92).astype(int)
    assert np.abs(np.diff(images, axis=1)).mean(axis=(1, 2)).max() < 16


@pytest.mark.network
def test_documents(recipe, tmp_path, capsys):
    X = _run(recipe("documents"), tmp_path / "X.zarr", capsys)
    assert (X.shape, X.dtype, np.count_nonzero(X[:])) == ((395, 4258), np.float32, 60_114)
    assert (len(X.attrs["titles"]), len(set(X.attrs["tokens"]))) == (395, 4258)
    assert X.attrs["titles"][0].startswith("UK: Prince Charles spearheads British royal revolution.")
    assert "prince" in np.array(X.attrs["tokens"])[np.argsort(X[0])[-10:]]


@pytest.mark.network
def test_speech(recipe, tmp_path, capsys):
    X = _run(recipe("speech"), tmp_path / "X.zarr", capsys, "--hop", "512")
    assert (X.shape, X.dtype, X.attrs["hop"]) == ((23_886, 257), np.float32, 512)
    assert np.isfinite(X[:]).all()
    assert X[:].min() >= 0


@pytest.mark.network
def test_leukaemia(recipe, tmp_path, capsys):
    X = _run(recipe("leukaemia"), tmp_path / "X.zarr", capsys)
    assert (X.shape, X.dtype, X[:].min(), X[:].max()) == ((38, 5000), np.float64, 20, 61_225)
    assert np.unique(X.attrs["labels"], return_counts=True)[1].tolist() == [19, 8, 11]
    assert [len(X.attrs[name]) for name in ("samples", "genes", "descriptions")] == [38, 5000, 5000]
    assert (X.attrs["samples"][-1], X.attrs["genes"][0]) == ("AML_7", "M12759_at")
    assert X.attrs["descriptions"][0] == "IMMUNOGLOBULIN J CHAIN"


@pytest.mark.network
def test_pbmc(recipe, tmp_path, capsys):
    _run(recipe("pbmc"), tmp_path / "X.zarr", capsys)
    cells = anndata.read_zarr(tmp_path / "X.zarr")
    types, totals = cells.obs["type"].to_numpy(), cells.obs["total"].to_numpy()
    assert (cells.shape, cells.X.nnz, cells.X.sum(), len(np.unique(types))) == ((700, 765), 174_400, 486_651, 10)
    np.testing.assert_array_equal(cells.X.data, np.rint(cells.X.data))
    assert np.all(cells.X.sum(axis=1) < totals)
    # B cells are told by a gene, and dnmf by its name.
    gene = cells.layers["logs"][:, cells.var_names.get_loc("CD79A")].toarray().ravel()
    assert {types[cell] for cell in gene.argsort()[-20:]} == {"CD19+ B"}
    assert dnmf.factorize(tmp_path / "X.zarr", rank=2, layer="logs").labels.columns.tolist() == list(cells.var_names)


@pytest.mark.network
def test_mnist(recipe, tmp_path, capsys):
    X = _run(recipe("mnist"), tmp_path / "X.zarr", capsys)
    assert (X.shape, X.dtype, X[:].max(), X.attrs["image_shape"]) == ((5000, 784), np.uint8, 255, [28, 28])
    assert np.bincount(X.attrs["labels"]).tolist() == [500] * 10
    # The middle of a zero is paper, and of a one ink.
    middles = X[:].reshape(10, 500, 28, 28)[:, :, 13:15, 13:15].mean(axis=(1, 2, 3))
    assert middles[0] < 32 < 128 < middles[1]


@pytest.mark.network
def test_signatures(recipe, tmp_path, capsys):
    X = _run(recipe("signatures"), tmp_path / "X.zarr", capsys)
    assert (X.shape, X.dtype, X[:].sum()) == ((21, 96), np.float64, 183_916)
    assert (X.attrs["genomes"][0], X.attrs["kinds"][:2], X[0, 0]) == ("PD4199a", ["A[C>A]A", "A[C>A]C"], 58)
    catalogue = np.array(X.attrs["catalogue"])
    assert (catalogue.shape, len(X.attrs["names"])) == ((72, 96), 72)
    np.testing.assert_allclose(catalogue.sum(axis=1), 1)
    # SBS1 is C>T before G, whatever is before.
    largest = np.argsort(catalogue[X.attrs["names"].index("SBS1")])[-4:]
    assert {X.attrs["kinds"][kind][1:] for kind in largest} == {"[C>T]G"}


@pytest.mark.parametrize(
    ("name", "shape", "classes"), [("newsgroups", [18_821, 28_552], 20), ("reuters", [9100, 6930], 52)]
)
def test_texts(recipe, tmp_path, capsys, name, shape, classes):
    X = _run(recipe(name), tmp_path / "X.zarr", capsys)
    assert (X.attrs["shape"], len(X.attrs["labels"]), len(X.attrs["categories"])) == (shape, shape[0], classes)
    assert X["labels/columns"].shape == (shape[1],)


@pytest.mark.network
def test_words(recipe, tmp_path, capsys):
    X = _run(recipe("words"), tmp_path / "X.zarr", capsys)
    (m, n), word, language = X.attrs["shape"], X["word"][:], X["language"][:]
    assert (m, n, len(word), language.max()) == (1_182_650, 6293, m, 25)
    assert len(np.unique(word)) == m
    (row,) = np.flatnonzero(word == "Wissenschaft".lower())
    assert X.attrs["languages"][language[row]] == "de"
    first, last = X["indptr"][row : row + 2]
    assert set(X["labels/columns"][:][X["indices"][first:last]]) >= {"·wi", "sch", "ft·"}


def test_voices(recipe, tmp_path, capsys):
    X = _run(recipe("voices"), tmp_path / "X.zarr", capsys, "--voice", "carlo")
    assert (X.shape, X.dtype, X.attrs["voice"]) == ((19_692, 257), np.float32, "carlo")
    assert X[:].min() >= 0


@pytest.mark.network
def test_sources(recipe, tmp_path, capsys):
    X = _run(recipe("sources"), tmp_path / "X.zarr", capsys)
    assert (X.shape, X.dtype, X.attrs["image_shape"]) == ((4096, 12), np.float32, [64, 64])
    assert np.linalg.matrix_rank(X[:], tol=1e-3) == 4


def test_chorales(recipe, tmp_path, capsys):
    X = _run(recipe("chorales"), tmp_path / "X.zarr", capsys, "--hop", "1024")
    assert (X.shape, X.dtype, X.attrs["sample_rate"]) == ((3597, 513), np.float32, 8000)
    assert X[:].min() > 0
    assert [name for name, _ in X.attrs["pieces"]][:2] == ["BWV 10.7", "BWV 101.7"]
    assert {36 <= pitch <= 84 and 0 <= start < end for start, end, pitch in X.attrs["notes"]} == {True}


@pytest.mark.network
def test_chorales_scale(recipe, tmp_path, capsys):
    X = _run(recipe("chorales"), tmp_path / "X.zarr", capsys, "--scale", "--hop", "1000")
    assert [pitch for _, _, pitch in X.attrs["notes"]] == list(range(36, 85))
    # A4 is played from second 33 to 34, and its strongest frequency is its own, 440 Hz.
    assert abs(X[8 * 33 + 3].argmax() * 8000 / 1024 - 440) < 8


@pytest.mark.network
def test_pines(recipe, tmp_path, capsys):
    X = _run(recipe("pines"), tmp_path / "X.zarr", capsys)
    assert (X.shape, X.dtype, X.attrs["image_shape"]) == ((21_025, 200), np.float32, [145, 145])
    assert X[:].min() == 0
    assert np.bincount(X.attrs["labels"])[[0, 14]].tolist() == [10_776, 1265]
    assert (len(X.attrs["classes"]), len(X.attrs["wavelengths"])) == (17, 200)


@pytest.mark.network
def test_pines_with_withheld_entries(recipe, tmp_path, capsys):
    pines = recipe("pines")
    there = _run(pines, tmp_path / "there.zarr", capsys)[:]
    pines.main(["--out", str(tmp_path / "holes.zarr"), "--withheld"])
    holes = zarr.open_array(tmp_path / "holes.zarr", mode="r")[:]
    mask = pines.withheld((145, 145))
    np.testing.assert_array_equal(np.isnan(holes), mask)
    np.testing.assert_array_equal(holes[~mask], there[~mask])


@pytest.mark.network
def test_ratings(recipe, tmp_path, capsys):
    X = _run(recipe("ratings"), tmp_path / "X.zarr", capsys)
    whole, train, test = (recipe("counts").read_sparse(tmp_path / "X.zarr" / part) for part in ("", "train", "test"))
    assert (whole.shape, whole.nnz, train.nnz, test.nnz) == ((943, 1682), 100_000, 80_000, 20_000)
    assert np.unique(whole.data).tolist() == [1, 2, 3, 4, 5]
    assert (train != whole - test).nnz == 0
    per_person, per_film = np.diff(whole.indptr), np.bincount(whole.indices)
    assert (per_person.min(), per_film.min(), per_film.max(), whole.sum()) == (20, 1, 583, 352_986)
    assert X["labels/columns"][int(per_film.argmax())] == "Star Wars (1977)"
    assert dnmf.factorize(tmp_path / "X.zarr" / "train", 2).labels.columns[0] == "Toy Story (1995)"
