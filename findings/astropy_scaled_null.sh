#!/usr/bin/env bash
# astropy 8.0.2: a missing value in a scaled column is read as a number.
#
# The FITS standard 4.0, sect. 7.3.2: TNULLn is the value in the field as it is stored, before TSCALn and TZEROn. Table.read
# masks where the *scaled* value equals TNULL, so that a missing value comes out as one that is not there, and a good one
# that happens to equal TNULL is masked. Without scaling it is right. Way out: compare with TNULL * TSCAL + TZERO.
#
# Stored 10, 20, -1, -402 with TNULL = -1, TSCAL = 0.5, TZERO = 200: 205, 210, missing, -1.
#
# Seen with astropy 8.0.2, numpy 2.4.6:
#   right:      [205.0, 210.0, None, -1.0]
#   Table.read: [205.0, 210.0, 199.5, None]
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check astropy==8.0.2 numpy==2.4.6
"$folder/venv/bin/python" -W ignore - "$folder/null.fits" <<'END'
import sys

import numpy as np
from astropy.io import fits
from astropy.table import Table

column = fits.Column("PI", "I", null=-1, array=np.array([10, 20, -1, -402], dtype="i2"))
table = fits.BinTableHDU.from_columns([column])
table.header.update(TSCAL1=0.5, TZERO1=200.0)
table.writeto(sys.argv[1])
theirs = Table.read(sys.argv[1], hdu=1)["PI"].tolist()
print("right:      [205.0, 210.0, None, -1.0]")
print("Table.read:", theirs)
raise SystemExit(theirs == [205.0, 210.0, None, -1.0])
END
