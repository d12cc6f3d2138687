"""voices: the magnitude spectrogram of some 24 minutes of one of four speakers; frames are rows, X is m × 257 float32.

Telephone prompts at 8 kHz, the same phrases in four languages, each by a voice of its own: allison (a woman, English),
june (a woman, French), carlo (a man, Italian) and ivrvoice (a woman, Russian). Of the prompts that last 3 seconds
or more, every eighth in the order of their names is kept apart as a test sentence and is no part of X. All others are
joined end to end and cut into frames as in speech.py: 512 samples (64 ms) under a Hann window, one frame every 512.

Source: the Debian packages asterisk-core-sounds-en-wav, -fr-wav, -it-wav and -ru-wav (18 MB each, the one that is asked
for is fetched and not installed: needs apt-get, dpkg-deb).
Licence: CC-BY-SA-3.0 (allison: Allison Smith; june: June Wallack; carlo: Carlo Flora), CC-BY-3.0 (ivrvoice: Maxim
Topal, ivrvoice.ru): keep the name and the licence with whatever is made from them.
Components: spectra of voiced sounds at a pitch, of hisses and of the background: what this voice is made of.
Attributes: `voice`, `sample_rate` (Hz), `hop` (samples), `window`, `window_length` (samples), `source`, `licence`.
"""

import sys
from pathlib import Path

import numpy as np
from fetch import deb, parser, run
from speech import SAMPLE_RATE, samples_of, write_spectra

HOP = 512
SECONDS, EVERY = 3, 8

VOICES = {
    "allison": ("asterisk-core-sounds-en-wav", "recorded by Allison Smith, English", "CC-BY-SA-3.0"),
    "june": ("asterisk-core-sounds-fr-wav", "recorded by June Wallack, French", "CC-BY-SA-3.0"),
    "carlo": ("asterisk-core-sounds-it-wav", "recorded by Carlo Flora, Italian", "CC-BY-SA-3.0"),
    "ivrvoice": ("asterisk-core-sounds-ru-wav", "provided by Maxim Topal, ivrvoice.ru, Russian", "CC-BY-3.0"),
}


def prompts(voice: str) -> dict[str, np.ndarray]:
    """Fetch the prompts of a voice: 16-bit samples at 8 kHz by path, sorted; those of silence are left out."""
    files = deb(VOICES[voice][0], ".wav")
    kept = {path: content for path, content in files.items() if "/silence/" not in path}
    return {path.rpartition("/sounds/")[2]: samples_of(path, content) for path, content in kept.items()}


def test_sentences(recordings: dict[str, np.ndarray]) -> list[str]:
    """The names that are kept apart: every eighth of the prompts of 3 seconds or more.

    >>> test_sentences({f"{number:02}": np.zeros(8000 * (2 + number % 2)) for number in range(32)})
    ['01', '17']
    """
    long = [name for name, samples in recordings.items() if len(samples) >= SECONDS * SAMPLE_RATE]
    return long[::EVERY]


def write_training(recordings: dict[str, np.ndarray], out: Path, *, voice: str) -> None:
    """Write X of all prompts but the test sentences to a Zarr array at `out`, one chunk of rows in memory at a time."""
    package, who, licence = VOICES[voice]
    apart = set(test_sentences(recordings))
    signal = np.concatenate([samples for name, samples in recordings.items() if name not in apart])
    about = {"source": f"Debian {package} (Asterisk core sounds, {who})", "licence": licence, "voice": voice}
    write_spectra(signal, out, hop=HOP, about=about)


def write(out: Path, *, voice: str) -> None:
    """Fetch the prompts of a voice and write X to a Zarr array at `out`."""
    write_training(prompts(voice), out, voice=voice)


def main(argv: list[str] | None = None) -> int:
    """Run the recipe from the command line."""
    arguments = parser("voices", __doc__)
    arguments.add_argument("--voice", choices=sorted(VOICES), default="carlo", help="whose prompts (default: carlo)")
    args = arguments.parse_args(argv)
    return run(write, args.out, voice=args.voice)


if __name__ == "__main__":
    sys.exit(main())
