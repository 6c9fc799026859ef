#!/usr/bin/env bash
# HENDRICS 8.5.1: HENfake --ctrate writes events and good time beyond the --tstart and --tstop that it was given.
#
# The light curve that it draws from has steps of (tstop - tstart)/1024, whose centres go from tstart to below tstop + 1 s.
# So the good time begins half a step early and ends about 1 s late, while TSTART, TSTOP and LIVETIME in the header are
# those that were asked for. From 10 s come 11 s. Events divided by TSTOP - TSTART or by LIVETIME give a rate that is
# 10 per cent too high; divided by the good time, the right one. Way out: take the exposure from the GTI extension, or
# leave out what lies beyond TSTOP.
#
# Seen with HENDRICS 8.5.1, stingray 2.3.2, astropy 8.0.2, numpy 2.4.6:
#   asked for 10 s: TSTART 0, TSTOP 10, LIVETIME 10, good from -0.0049 to 11.0010 s
#   54974 events, 4979 of them after TSTOP
#   rate by LIVETIME 5497/s, by good time 4995/s, asked for 5000/s
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    HENDRICS==8.5.1 stingray==2.3.2 astropy==8.0.2 numpy==2.4.6
cd "$folder"
PYTHONWARNINGS=ignore venv/bin/HENfake --ctrate 5000 --tstart 0 --tstop 10 -m NuSTAR --seed 1 -o fake.evt 2> /dev/null
venv/bin/python -W ignore - <<'END'
from astropy.io import fits

with fits.open("fake.evt") as hdus:
    header, time, good = hdus["EVENTS"].header, hdus["EVENTS"].data["TIME"], hdus["GTI"].data
    start, stop = good["START"][0], good["STOP"][-1]
asked = [header[name] for name in ("TSTART", "TSTOP", "LIVETIME")]
late = int((time > 10).sum())
rates = len(time) / asked[2], len(time) / (stop - start)
print("asked for 10 s: TSTART {:g}, TSTOP {:g}, LIVETIME {:g},".format(*asked), end=" ")
print(f"good from {start:.4f} to {stop:.4f} s")
print(f"{len(time)} events, {late} of them after TSTOP")
print("rate by LIVETIME {:.0f}/s, by good time {:.0f}/s, asked for 5000/s".format(*rates))
error = (5000 / 11) ** 0.5  # of a rate over 11 s, 1/s
seen = asked == [0, 10, 10] and stop > 10.9 and abs(late - 5000) < 400
raise SystemExit(not (seen and abs(rates[1] - 5000) < 4 * error < rates[0] - 5000))
END
