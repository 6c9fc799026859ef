#!/usr/bin/env bash
# astropy 8.0.2: fits.open(checksum=True) calls a valid file corrupt whose DATASUM is blank.
#
# The FITS standard 4.0, sect. 4.4.2.7, lets a DATASUM of one or more blanks stand for an undefined value. Chandra's
# pipeline writes one into the first header. astropy makes an int of it, takes the error for a broken header, and says
# "Empty or corrupt FITS file"; without checksum=True the file opens. stingray's load_gtis and read_rmf open with it, so
# that they cannot read such files. Way out: open without it, and verify the extensions whose DATASUM is a number.
#
# Seen with astropy 8.0.2, numpy 2.4.6:
#   checksum=False: 2 extensions, 3 rows
#   checksum=True:  OSError: Empty or corrupt FITS file
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check astropy==8.0.2 numpy==2.4.6
"$folder/venv/bin/python" -W ignore - "$folder/blank.fits" <<'END'
import sys

import numpy as np
from astropy.io import fits

table = fits.BinTableHDU.from_columns([fits.Column("TIME", "D", array=np.arange(3.0))])
fits.HDUList([fits.PrimaryHDU(), table]).writeto(sys.argv[1])
fits.setval(sys.argv[1], "DATASUM", value=" ", comment="data unit checksum")
with fits.open(sys.argv[1]) as hdus:
    print(f"checksum=False: {len(hdus)} extensions, {len(hdus[1].data)} rows")
try:
    with fits.open(sys.argv[1], checksum=True) as hdus:
        print(f"checksum=True:  {len(hdus)} extensions")
except OSError as error:
    print(f"checksum=True:  OSError: {error}")
    raise SystemExit(0) from None
raise SystemExit(1)
END
