"""chorales: spectrogram of chorales by Bach on a sampled piano, with the score; frames are rows, X is 46 038 × 513.

Twelve four-part chorales, each voice of the score played once, without repeats, at 80 quarters a minute by the piano of
a soundfont (recorded notes of a real one), at 48 kHz and 16 bits, with the last-bit noise that a recorder adds; then at
8 kHz, cut into frames of 1024 samples (128 ms) that start every `--hop` samples. A row is the absolute value of the
Fourier transform of a frame under a Hann window, column j the frequency j · 7.8125 Hz. A smaller hop gives a larger X,
written a block of rows at a time: 94 MB at the default of 80 (10 ms), 3.8 GB at 2. With `--scale` X is what one
plays to teach: every note from C2 to C6 alone, one second each.

Source: the PyPI packages music21 10.5.1 (20 MB, scores) and pretty_midi 0.2.11.post0 (5.6 MB, the soundfont TimGM6mb
by Tim Brechbill), fetched and not installed. Needs the PyPI package midirenderer, which plays.
Licence: the music is in the public domain, its encoding comes with music21 (BSD-3-Clause; see its corpus/license.txt),
by permission of Margaret Greentree; the soundfont is under GPL-2.0.
Components: the spectra of notes, combs of harmonics at a pitch, each a row of V; the columns of W say when they sound.
Attributes: `notes` (start in s, end in s, MIDI pitch of every note), `pieces` (name and first second of each),
`sample_rate` (Hz), `hop` (samples), `window`, `window_length` (samples), `source`, `licence`. The middle of frame j is
at (j · hop + window_length / 2) / sample_rate seconds.
"""

import struct
import sys
import xml.etree.ElementTree as ET
import zipfile
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path

import midirenderer
import numpy as np
from fetch import parser, publishing, row_blocks, run, wheel
from scipy.fft import rfft
from scipy.io import wavfile
from scipy.signal import resample_poly
from scipy.signal.windows import hann
from zarr.codecs import BloscCodec

SCORES, SOUNDS = "music21==10.5.1", "pretty_midi==0.2.11.post0"
# As for speech: half the time of Zarr's default.
COMPRESSOR = BloscCodec(cname="lz4", clevel=5, shuffle="shuffle")

# The first twelve by name that are four plain voices: without chords, grace notes, triplets or a second staff.
PIECES = ("10.7", "101.7", "102.7", "103.6", "104.6", "108.6", "11.6", "110.7", "113.8", "114.7", "115.6", "117.4")
SOUNDFONT = "pretty_midi/TimGM6mb.sf2"
SAMPLE_RATE, LENGTH, HOP = 8000, 1024, 80
WINDOW = hann(LENGTH, sym=False).astype("f4")
SECONDS_PER_QUARTER = 60 / 80
PAUSE = 1.0  # s between pieces, for the last chord to fade in
TICKS = 480  # of a MIDI file, to a quarter; its default tempo is half a second to a quarter

STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
Note = tuple[float, float, int]


def voice(part: ET.Element) -> list[Note]:
    """The notes of one part of a score: start and end in quarters, MIDI pitch; tied notes are one.

    >>> xml = "<part><measure><note>{}<pitch><step>A</step><octave>4</octave></pitch></note></measure></part>"
    >>> voice(ET.fromstring(xml.format("<duration>2</duration>")))
    [(0.0, 2.0, 69)]
    """
    now, divisions, notes = 0.0, 1, []
    for element in part.iter():
        if element.tag == "divisions":
            divisions = int(element.text)
        if element.tag != "note":
            continue
        start, now = now, now + int(element.findtext("duration")) / divisions
        pitch = element.find("pitch")
        if pitch is None:
            continue
        number = STEPS[pitch.findtext("step")] + int(pitch.findtext("alter", "0")) + 12 * int(pitch.findtext("octave"))
        tied = any(tie.get("type") == "stop" for tie in element.findall("tie"))
        if tied and notes:
            start = notes.pop()[0]
        notes.append((start, now, number + 12))
    return notes


def score(content: bytes) -> list[list[Note]]:
    """The voices of a compressed MusicXML file."""
    with zipfile.ZipFile(BytesIO(content)) as archive:
        name = next(name for name in archive.namelist() if "/" not in name and name.endswith("xml"))
        return [voice(part) for part in ET.fromstring(archive.read(name)).iter("part")]


def track(notes: Iterable[Note], channel: int) -> bytes:
    """One track of a MIDI file that plays notes, in quarters, on one channel: its instrument 0 is the piano."""
    events = [(round(TICKS * time), on, pitch) for *span, pitch in notes for on, time in zip((1, 0), span, strict=True)]
    content, last = b"\x00" + bytes([0xC0 | channel, 0]), 0
    for tick, on, pitch in sorted(events):
        content += variable_length(tick - last) + bytes([(0x90 if on else 0x80) | channel, pitch, 90 * on])
        last = tick
    content += variable_length(4 * TICKS) + b"\xff\x2f\x00"
    return b"MTrk" + struct.pack(">I", len(content)) + content


def variable_length(number: int) -> bytes:
    """A number as MIDI files write it, seven bits to a byte, all bytes but the last one marked.

    >>> variable_length(0), variable_length(127), variable_length(480)
    (b'\\x00', b'\\x7f', b'\\x83`')
    """
    groups = [number & 127]
    while number := number >> 7:
        groups.append(number & 127 | 128)
    return bytes(reversed(groups))


def midi(voices: list[list[Note]]) -> bytes:
    """A MIDI file of voices in quarters, at `SECONDS_PER_QUARTER`."""
    tempo = b"\x00\xff\x51\x03" + struct.pack(">I", round(1e6 * SECONDS_PER_QUARTER))[1:] + b"\x00\xff\x2f\x00"
    tracks = [b"MTrk" + struct.pack(">I", len(tempo)) + tempo]
    tracks += [track(notes, channel) for channel, notes in enumerate(voices)]
    return b"MThd" + struct.pack(">IHHH", 6, 1, len(tracks), TICKS) + b"".join(tracks)


def played(voices: list[list[Note]], soundfont: bytes, *, seed: int) -> np.ndarray:
    """Voices on the piano of a soundfont: samples at `SAMPLE_RATE`, in [−1, 1], whole frames and a pause long."""
    rate, stereo = wavfile.read(BytesIO(midirenderer.render_wave_from(soundfont, midi(voices))))
    length = round(rate * (PAUSE + SECONDS_PER_QUARTER * max(end for notes in voices for _, end, _ in notes)))
    mono = np.zeros(length)
    mono[: len(stereo)] = stereo.mean(axis=1)[:length]
    noise = np.random.default_rng(seed).triangular(-1, 0, 1, length)
    return resample_poly((mono + noise) / 32768, SAMPLE_RATE, rate)


def concert(pieces: dict[str, list[list[Note]]], soundfont: bytes) -> tuple[np.ndarray, dict[str, object]]:
    """All pieces one after the other: the samples, and the attributes `notes` and `pieces` in seconds."""
    signals, notes, starts, now = [], [], [], 0.0
    for seed, (name, voices) in enumerate(pieces.items()):
        signals.append(played(voices, soundfont, seed=seed))
        starts.append([name, now])
        spans = {
            (now + SECONDS_PER_QUARTER * a, now + SECONDS_PER_QUARTER * b, p) for part in voices for a, b, p in part
        }
        notes += sorted(spans)
        now += len(signals[-1]) / SAMPLE_RATE
    return np.concatenate(signals).astype("f4"), {"notes": notes, "pieces": starts}


def spectra(signal: np.ndarray, first: int, last: int, *, hop: int) -> np.ndarray:
    """Rows `first` to `last` (exclusive) of X, (last − first) × 513 float32."""
    samples = signal[first * hop : (last - 1) * hop + LENGTH]
    frames = np.lib.stride_tricks.sliding_window_view(samples, LENGTH)[::hop]
    return np.abs(rfft(frames * WINDOW, axis=1))


def write(out: Path, *, hop: int = HOP, scale: bool = False) -> None:
    """Fetch scores and soundfont, play, and write X to a Zarr array at `out`."""
    (soundfont,) = wheel(SOUNDS, SOUNDFONT)
    if scale:
        pieces = {"scale": [[(4 * i / 3, 4 * (i + 1) / 3, pitch) for i, pitch in enumerate(range(36, 85))]]}
    else:
        files = wheel(SCORES, *(f"music21/corpus/bach/bwv{piece}.mxl" for piece in PIECES))
        pieces = {f"BWV {piece}": score(content) for piece, content in zip(PIECES, files, strict=True)}
    signal, described = concert(pieces, soundfont)
    attributes = described | {
        "source": f"PyPI {SCORES} (corpus of chorales by J. S. Bach), played with TimGM6mb.sf2 of PyPI {SOUNDS}",
        "licence": "scores: public domain, encoded for music21 (BSD-3-Clause); soundfont: GPL-2.0",
        "sample_rate": SAMPLE_RATE,
        "hop": hop,
        "window": "hann",
        "window_length": LENGTH,
    }
    shape = (1 + (len(signal) - LENGTH) // hop, LENGTH // 2 + 1)
    with publishing(out, shape=shape, dtype="f4", attributes=attributes, compressors=COMPRESSOR) as array:
        for first, last in row_blocks(shape[0], array.chunks[0]):
            array[first:last] = spectra(signal, first, last, hop=hop)


def main(argv: list[str] | None = None) -> int:
    """Run the recipe from the command line."""
    arguments = parser("chorales", __doc__)
    arguments.add_argument("--hop", type=int, default=HOP, help=f"samples from one frame to the next (default: {HOP})")
    arguments.add_argument("--scale", action="store_true", help="single notes instead of chorales")
    args = arguments.parse_args(argv)
    return run(write, args.out, hop=args.hop, scale=args.scale)


if __name__ == "__main__":
    sys.exit(main())
