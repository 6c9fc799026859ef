"""Loaders of the course's data, observed and simulated; each checks what it reads.

Spectra, responses and the simulated archive lie in the course's data/ folder, events and light
curves come with stingray, and the RXTE/ASM set is fetched from its public home when it is asked
for. data/README.md says where everything comes from. A file that is missing or damaged gives a
`DataError`, and nothing else.
"""

from helpers.data.archive import Segments, load_observations, load_segments, load_truth
from helpers.data.events import load_events, load_light_curve
from helpers.data.files import DataError
from helpers.data.spectra import Spectrum, load_response, load_spectrum
from helpers.data.split import AlreadyOpenedError, deal_sources, load_split, open_test_set

__all__ = [
    "AlreadyOpenedError",
    "DataError",
    "Segments",
    "Spectrum",
    "deal_sources",
    "load_events",
    "load_light_curve",
    "load_observations",
    "load_response",
    "load_segments",
    "load_spectrum",
    "load_split",
    "load_truth",
    "open_test_set",
]
