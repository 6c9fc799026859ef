"""Figures show what they are given, and carry alternative text; tests/test_accessibility.py has their colours."""

import io
import subprocess
import sys
from fractions import Fraction

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.path import Path as Curve

from helpers import plotting
from helpers.diagnostics import uniform_band
from helpers.features import HUE_CENTRE, HUES, hue


@pytest.fixture(autouse=True)
def no_figure_is_left():
    yield
    plt.close("all")


@pytest.fixture
def ax():
    return plt.subplots()[1]


@pytest.mark.parametrize("alt", ["", "  ", None, 3])
def test_alternative_text_is_required(ax, alt):
    with pytest.raises(ValueError, match="describe in one sentence"):
        plotting.show(ax, alt=alt)


def test_show_displays_and_closes(ax, capsys):
    plotting.show(ax, alt="A rise,\n    then a fall.")
    assert capsys.readouterr().out == "Figure: A rise, then a fall.\n"
    assert not plt.get_fignums()


def test_a_text_of_the_lessons_is_found_by_its_name(ax, capsys, monkeypatch, tmp_path):
    (tmp_path / "texts.json").write_text('{"06_cut": "A cut at {cut:.2f}, {share:.0%} above."}')
    monkeypatch.setattr(plotting, "_TEXTS", tmp_path / "texts.json")
    plotting.show(ax, "06_cut", cut=0.123, share=0.5)
    assert capsys.readouterr().out == "Figure: A cut at 0.12, 50% above.\n"
    with pytest.raises(ValueError, match="No figure of the lessons is called '06_cuts': say what"):
        plotting.show(ax, "06_cuts")


def test_alternative_text_is_in_the_html():
    figure = plotting.Figure(b"png", 'rate > 3, "hard"')
    assert 'alt="rate &gt; 3, &quot;hard&quot;"' in figure._repr_html_()


def test_drawing_brings_neither_torch_nor_another_helper():
    code = "import sys, helpers.plotting; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    modules = set(run.stdout.split())
    assert not modules & {"torch", "seaborn", "pandas"}
    ours = {name for name in modules if name.startswith(("helpers", "course"))}
    assert ours == {"helpers", "helpers.plotting"}


GUESSES = {  # what a reader writes: what is marked
    3: 3,
    4.5: 4.5,
    np.float32(0.5): 0.5,
    Fraction(1, 4): 0.25,
    "about 0.7": 0.7,
    "−2.5 Hz": -2.5,
    "1e3": 1000,
    "~.5": 0.5,
}
NO_GUESSES = ("many", "3 to 5", "0,7", None, True, [1, 2], float("nan"), (3,), 2j, "x" * 50 + "1")


@pytest.mark.parametrize("axis", ["x", "y"])
@pytest.mark.parametrize(("guess", "value"), GUESSES.items())
def test_a_guess_is_a_line_with_its_number(ax, guess, value, axis):
    ax.set(xlim=(-2000, 2000), ylim=(2000, -2000))
    assert plotting.mark_guess(ax, guess, axis) is ax
    (line,) = ax.lines
    assert getattr(line, f"get_{axis}data")() == pytest.approx([value, value])
    assert ax.texts[0].get_text() == f"your guess: {value:g}"


@pytest.mark.parametrize("guess", NO_GUESSES, ids=str)
def test_a_guess_without_a_number_is_told_so(ax, guess, capsys):
    plotting.mark_guess(ax, guess)
    assert not (ax.lines)
    assert not (ax.texts)
    assert "write one number, such as 0.7" in capsys.readouterr().out


def test_no_guess_leaves_no_trace(ax, capsys):
    assert plotting.mark_guess(ax, ...) is ax
    assert not (ax.lines)
    assert not (ax.texts)
    assert not (capsys.readouterr().out)


@pytest.mark.parametrize("axis", ["x", "y"])
@pytest.mark.parametrize(
    ("guess", "limits", "scale", "arrow"),
    [
        (100, (0, 1), "linear", "→↑"),
        (-100, (0, 1), "linear", "←↓"),
        (100, (1, 0), "linear", "←↓"),  # the axis runs to the left
        (100, (1, 10), "log", "→↑"),
        (0, (1, 10), "log", "←↓"),  # no place on a logarithmic axis
        (-1, (1, 10), "log", "←↓"),
    ],
)
def test_a_guess_far_off_is_marked_at_the_edge(ax, axis, guess, limits, scale, arrow):
    ax.set(**{f"{axis}scale": scale, f"{axis}lim": limits})
    plotting.mark_guess(ax, guess, axis)
    assert not ax.lines
    assert ax.texts[0].get_text() == f"your guess: {guess:g} {arrow[axis == 'y']}"
    assert ax.texts[0].xy[axis == "y"] in (0.01, 0.99)


KINDS_OF_FIGURES = {
    "curve": lambda ax: ax.plot([1, 2, 3], [1, 4, 9], label="data"),
    "histogram": lambda ax: ax.hist([1, 2, 2, 3], label="data"),
    "names on an axis": lambda ax: ax.barh(["a", "b"], [1, 2], label="data"),
    "logarithmic": lambda ax: ax.loglog([1, 10], [1, 100], label="data"),
    "error bars": lambda ax: ax.errorbar([1, 2], [3, 4], [1, 1], label="data"),
    "turned round": lambda ax: (ax.plot([1, 2], label="data"), ax.invert_xaxis()),
}


@pytest.mark.parametrize("axis", ["x", "y"])
@pytest.mark.parametrize("guess", [2, 1e9, -1e9, "1.5 or so"])
@pytest.mark.parametrize("draw", KINDS_OF_FIGURES.values(), ids=KINDS_OF_FIGURES)
def test_a_guess_changes_neither_limits_nor_legend(ax, draw, guess, axis):
    draw(ax)
    entries = ax.legend(loc="upper left").get_texts()
    limits, kept = (ax.get_xlim(), ax.get_ylim()), ax.get_legend()
    plotting.mark_guess(ax, guess, axis)
    ax.figure.draw_without_rendering()
    assert (ax.get_xlim(), ax.get_ylim()) == limits
    assert ax.get_legend() is kept
    assert [text.get_text() for text in entries] == ["data"]
    frame, box = ax.get_window_extent(), ax.texts[-1].get_window_extent()
    assert frame.x0 <= box.x0 <= frame.x1
    assert frame.y0 <= box.y0 <= frame.y1


def test_steps(ax):
    assert plotting.steps(ax, [0, 1, 3], [5.0, 6.0], errors=[1.0, 2.0], color="red") is ax
    values, edges, _ = ax.patches[0].get_data()
    assert (values.tolist(), edges.tolist()) == ([5, 6], [0, 1, 3])
    bars = ax.collections[0].get_segments()
    assert [bar.tolist() for bar in bars] == [[[0.5, 4], [0.5, 6]], [[2, 4], [2, 8]]]


@pytest.fixture
def observations():
    """Six pointings of RXTE, of which one has no soft colour, one no rate, and two no power colours."""
    return pd.DataFrame(
        {
            "instrument": "rxte",
            "outburst_id": ["R1", "R1", "R1", "R1", "R2", "R2"],
            "mjd": [4.0, 1.0, 3.0, 2.0, 5.0, 6.0],
            "rate": [40.0, 30.0, 600.0, 500.0, 8.0, -1.0],
            "n_det": [2, 1, 3, 5, 4, 1],
            "hr_soft": [0.9, 1.2, 0.2, 0.4, np.nan, 1.0],
            "state_label": ["LHS", "LHS", "HSS", "HIMS", "LHS", "SIMS"],
            "object_label": ["BH", "BH", "BH", "BH", "NS", "NS"],
            "pc1": [2.0, 20.0, np.nan, 9.0, 1.0, 0.5],
            "pc2": [4.0, 2.0, 1.0, np.nan, 1.0, 1.5],
        }
    )


def points(ax):
    """{legend label: positions} of all points drawn."""
    return {
        line.get_label(): line.get_xydata().tolist()
        for line in ax.lines
        if line.get_linestyle() == "None" and line.get_label() != "centre"
    }


def said(texts):
    return [text.get_text() for text in texts]


def legend(ax):
    return said(ax.get_legend().get_texts())


def test_a_hardness_intensity_diagram_shows_what_is_in_the_table(ax, observations):
    assert plotting.hardness_intensity(ax, observations) is ax
    assert points(ax) == {
        "LHS (2 of 3)": [[0.9, 20], [1.2, 30]],
        "HIMS (1)": [[0.4, 100]],
        "SIMS (0 of 1)": [],
        "HSS (1)": [[0.2, 200]],
    }
    assert legend(ax) == list(points(ax))
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert ax.get_xlabel() == "colour hr_soft (Crab)"
    assert ax.get_ylabel() == "net rate per detector (1/s)"


def test_the_track_of_an_outburst_runs_in_time(ax, observations):
    plotting.hardness_intensity(ax, observations, outburst="R1")
    (line,) = (line for line in ax.lines if line.get_linestyle() == "-")
    assert line.get_xydata().tolist() == [[1.2, 30], [0.4, 100], [0.2, 200], [0.9, 20]]
    assert line.get_label() in legend(ax)


def test_arrows_point_the_way_an_outburst_goes(ax):
    # Up on the hard side, to the left at high rate, down, and back to the right at low rate
    angle = np.linspace(-0.7, 1.9 * np.pi - 0.7, 40)
    way = pd.DataFrame({"hr_soft": 10 ** np.cos(angle), "rate": 10 ** np.sin(angle), "n_det": 1})
    way = way.assign(mjd=np.arange(40.0), outburst_id="R1", state_label="LHS")
    plotting.hardness_intensity(ax, way.sample(frac=1, random_state=1), outburst="R1")
    assert len(ax.texts) == 5
    x, y = np.log10([text.xyann for text in ax.texts]).T
    along_x, along_y = np.log10([text.xy for text in ax.texts]).T - [x, y]
    assert (x * along_y - y * along_x > 0).all()


@pytest.mark.parametrize("n", [1, 2])
def test_a_track_may_be_short_or_stand_still(ax, observations, n):
    plotting.hardness_intensity(ax, observations.iloc[[0] * n], outburst="R1")
    assert not ax.texts


@pytest.mark.parametrize("names", [("LHS", "HSS", "SIMS"), ("a", "b", "LHS")])
def test_labels_are_told_apart_by_shape_too(ax, observations, names):
    plotting.hardness_intensity(ax, observations.assign(state_label=[*names, *names]))
    shapes = [line.get_marker() for line in ax.lines]
    assert len(shapes) == len(set(shapes)) == 3


def test_a_missing_label_is_a_label(ax, observations):
    observations.loc[1, "state_label"] = None
    plotting.hardness_intensity(ax, observations)
    assert points(ax)["no label (1)"] == [[1.2, 30]]


def test_a_diagram_is_of_one_telescope_and_of_outbursts_it_has(ax, observations):
    with pytest.raises(ValueError, match="no pointing of outburst 'R9'"):
        plotting.hardness_intensity(ax, observations, outburst="R9")
    observations.loc[0, "instrument"] = "nicer"
    with pytest.raises(ValueError, match="one telescope at a time"):
        plotting.hardness_intensity(ax, observations)


WHEEL = HUES, HUE_CENTRE


def test_the_wheel_shows_what_is_in_the_table(ax, observations):
    assert plotting.power_colour_wheel(ax, observations, *WHEEL) is ax
    assert points(ax) == {
        "LHS (3)": [[2, 4], [20, 2], [1, 1]],
        "HIMS (0 of 1)": [],
        "SIMS (1)": [[0.5, 1.5]],
        "HSS (0 of 1)": [],
    }
    assert legend(ax) == [*points(ax), "centre"]
    (centre,) = (line for line in ax.lines if line.get_label() == "centre")
    assert centre.get_xydata().tolist() == [[4.51920, 0.453724]]
    assert ax.get_aspect() == 1


def test_the_sectors_of_the_wheel_are_the_hues_of_the_states(ax, observations):
    plotting.power_colour_wheel(ax, observations, *WHEEL)
    for sector, (low, high) in zip(ax.patches, HUES.values(), strict=True):
        inside = hue(*sector.get_xy()[1:-1].T)
        assert inside[0] == pytest.approx(low % 360)
        assert inside[-1] == pytest.approx(high % 360)
        assert np.diff(inside) % 360 == pytest.approx((high - low) / 49)
    for text in ax.texts:
        low, high = HUES[text.get_text()]
        assert hue(*text.get_position()) == pytest.approx((low + high) / 2)


def test_all_points_of_the_wheel_are_in_view(ax, observations):
    observations.loc[0, "pc2"] = 3e4
    plotting.power_colour_wheel(ax, observations, *WHEEL)
    assert ax.get_ylim()[1] > 3e4


def test_a_wheel_without_points_is_a_wheel(ax, observations):
    plotting.power_colour_wheel(ax, observations.assign(pc1=np.nan), *WHEEL)
    assert legend(ax)[0] == "LHS (0 of 3)"


@pytest.fixture
def features():
    """Six pointings of BH and NS in two states, with a gap and a value that has no logarithm."""
    table = pd.DataFrame(
        {
            "rms": [0.3, 0.4, 0.2, 0.02, -0.1, np.nan],
            "gamma": [1.6, 1.7, 1.8, 2.6, 2.7, 2.8],
            "state_label": ["LHS", "LHS", "LHS", "HSS", "HSS", "HSS"],
            "object_label": ["BH", "BH", "NS", "NS", "NS", "BH"],
        }
    )
    table.attrs["units"] = {"gamma": "1"}
    return table


def test_distributions_count_what_is_drawn(ax, features):
    assert plotting.distributions(ax, features, "rms", logarithmic=True) is ax
    assert said(ax.texts) == ["BH 2", "NS 1", "BH 0", "NS 1"]
    assert said(ax.get_yticklabels()) == ["LHS", "HSS"]
    assert (ax.get_xscale(), ax.get_xlabel(), ax.get_ylabel()) == ("log", "rms", "")
    assert ax.yaxis_inverted()


def test_distributions_show_the_first_object_above_the_line_and_the_second_hatched_below(ax):
    some, high = np.random.default_rng(1).normal(size=(2, 200))
    table = pd.DataFrame({"x": [*some, *(5 + high)], "object_label": ["BH"] * 200 + ["NS"] * 200})
    plotting.distributions(ax, table.assign(state_label="LHS"), "x")
    above, below = ax.collections
    assert (above.get_hatch(), bool(below.get_hatch())) == (None, True)
    for half, middle, ends in ((above, 0, (-0.44, 0)), (below, 5, (0, 0.44))):
        (x, *_), (low, high) = half.get_datalim(ax.transData).intervalx, ends
        assert x == pytest.approx(middle - 2.5, abs=1)
        found = half.get_datalim(ax.transData).intervaly
        np.testing.assert_allclose(found, (low, high), atol=1e-9)  # up: the y-axis runs down


def test_distributions_keep_gaps_between_values_open(ax):
    table = pd.DataFrame({"x": [0.0, 1.0] * 40, "state_label": "LHS", "object_label": "BH"})
    plotting.distributions(ax, table, "x")
    (half,) = ax.collections
    x, y = half.get_paths()[0].vertices.T
    assert np.abs(y[np.abs(x - 0.5) < 0.4]).max() < 1e-3 < np.abs(y[x < 0.05]).max()


def test_distributions_lose_no_extreme_value(ax, features):
    many = pd.concat([features] * 100, ignore_index=True)
    many.loc[0, "gamma"] = 900.0
    plotting.distributions(ax, many, "gamma")
    assert ax.texts[0].get_text() == "BH 200"
    assert ax.get_xlim()[1] < 4
    assert ax.get_xlabel() == "gamma (1)"


def test_distributions_show_published_ranges(ax, features):
    plotting.distributions(ax, features, "gamma", ranges={"HSS": (2.1, 3.5), "SIMS": (2.3, 2.7)})
    (box,) = (c for c in ax.collections if c.get_zorder() == 0)
    low, high = box.get_paths()[0].get_extents().get_points()
    np.testing.assert_allclose([low, high], [[2.1, 0.54], [3.5, 1.46]])


OBJECTS = ["pc1", "state_label", "object_label"]


@pytest.mark.parametrize(
    ("draw", "columns"),
    [
        (
            lambda ax, t: plotting.hardness_intensity(ax, t, outburst="R1"),
            ["rate", "n_det", "hr_soft", "state_label", "mjd", "outburst_id"],
        ),
        (lambda ax, t: plotting.power_colour_wheel(ax, t, *WHEEL), ["pc1", "pc2", "state_label"]),
        (lambda ax, t: plotting.distributions(ax, t, "pc1"), OBJECTS),
        (lambda ax, t: plotting.pair_plot(t, ["pc1"]), OBJECTS),
    ],
)
def test_the_column_that_a_table_lacks_is_named(ax, observations, draw, columns):
    for column in columns:
        with pytest.raises(ValueError, match=f"table lacks {column}"):
            draw(ax, observations.drop(columns=column))


def test_distributions_have_two_halves(ax, features):
    with pytest.raises(ValueError, match="object_label holds 6 values"):
        plotting.distributions(ax, features.assign(object_label=list("abcdef")), "rms")


def test_distributions_of_nothing(ax, features):
    plotting.distributions(ax, features.assign(rms=np.nan), "rms")
    assert {text.get_text()[3:] for text in ax.texts} == {"0"}


def test_a_heat_map_says_its_numbers(ax):
    matrix = pd.DataFrame([[1, -0.5, np.nan], [0.004, -1, 0.25]], ["x", "y"], ["a", "b", "c"])
    assert plotting.heat_map(ax, matrix) is ax
    assert said(ax.texts) == ["1", "−.50", "0", "−1", ".25"]
    assert said(ax.get_xticklabels()) == ["a", "b", "c"]
    assert said(ax.get_yticklabels()) == ["x", "y"]
    assert len(ax.collections) == 1  # no lines


def test_a_heat_map_draws_its_groups(ax):
    names = ["a", "b", "c"]
    matrix = pd.DataFrame(np.eye(3), names, names)
    plotting.heat_map(ax, matrix, {"first": ["a", "b"], "second": ["c"]})
    _, rows, columns = ax.collections
    assert rows.get_segments()[0].tolist() == [[0, 2], [3, 2]]
    assert columns.get_segments()[0].tolist() == [[2, 0], [2, 3]]
    with pytest.raises(ValueError, match="in their order"):
        plotting.heat_map(ax, matrix, {"second": ["c"], "first": ["a", "b"]})


def test_pairs_by_two_labels(features):
    grid = plotting.pair_plot(features, ["gamma", "rms"], logarithmic=["rms"])
    axes, looks = grid.axes, {}
    for ax in (axes[1, 0], axes[0, 1]):
        (dots,) = ax.collections
        assert len(dots.get_offsets()) == 5  # one pointing has no rms
        looks[ax] = {tuple(path.vertices.ravel()) for path in dots.get_paths()}
        assert len(looks[ax]) == 2  # two shapes: of states, and of objects
        assert len({tuple(colour) for colour in dots.get_facecolors()}) == 2
    assert (axes[1, 0].get_yscale(), axes[0, 1].get_xscale()) == ("log", "log")
    for ax in grid.diag_axes:
        assert {line.get_linestyle() for line in ax.lines} == {"-", "--"}
        assert [line.get_ydata().max() for line in ax.lines] == [1, 1]
    assert (axes[1, 0].get_xlabel(), axes[1, 0].get_ylabel()) == ("gamma (1)", "rms")
    titles = [legend.get_title().get_text() for legend in grid.figure.legends]
    assert titles == ["below the diagonal: state_label", "above the diagonal: object_label"]


def test_the_rare_are_drawn_last(features):
    rare = pd.concat([features.assign(state_label="SIMS"), *[features] * 9], ignore_index=True)
    grid = plotting.pair_plot(rare.iloc[[0, *range(6, 60)]], ["gamma", "rms"])
    colours = grid.axes[1, 0].collections[0].get_facecolors()
    assert len({tuple(colour) for colour in colours[:-1]}) == 2
    assert tuple(colours[-1]) not in {tuple(colour) for colour in colours[:-1]}


def test_fewer_colours_make_a_smaller_figure(monkeypatch):
    shown = []
    monkeypatch.setattr(plotting, "display", shown.append)
    for colours in (None, 64):
        figure, ax = plt.subplots()
        ax.imshow(np.random.default_rng(1).random((40, 40)))
        plotting.show(figure, "A field of colours.", colours=colours)
    every, fewer = shown
    assert len(fewer.png) < 0.6 * len(every.png)
    before, after = (plt.imread(io.BytesIO(figure.png)) for figure in shown)
    assert before.shape[:2] == after.shape[:2]
    assert np.abs(before[..., :3] - after[..., :3]).mean() < 0.02


@pytest.fixture
def pairs():
    return plt.subplots(2, 2)[1]


@pytest.mark.parametrize("unit", [1.0, 3e-11], ids=["1", "flux"])
@pytest.mark.parametrize("correlation", [0.0, 0.99], ids=["round", "narrow"])
def test_the_contours_of_a_corner_hold_what_they_should(pairs, correlation, unit):
    covariance, unit = [[1.0, correlation], [correlation, 1.0]], np.array([1.0, unit])
    draws = np.random.default_rng(1).multivariate_normal((3.0, -1.0), covariance, (2, 4000))
    samples, others = draws
    assert plotting.corner(pairs, {"exact": samples * unit}, ["Γ", "lg K"]) is pairs
    (contours,) = pairs[1, 0].collections
    for path, share in zip(contours.get_paths(), (0.95, 0.68), strict=True):
        # its parts lie outside each other, for the density is smooth
        held = sum(Curve(part / unit).contains_points(others) for part in path.to_polygons())
        assert held.mean() == pytest.approx(share, abs=0.03)  # 4 binomial errors, and the histogram


def test_a_corner_of_several_tells_them_apart_by_line_too(pairs):
    generator = np.random.default_rng(3)
    samples = {
        "exact": torch.as_tensor(generator.normal(size=(500, 2))).requires_grad_(),
        "NPE": generator.normal(0.5, 1, (300, 2)),
    }
    plotting.corner(pairs, samples, ["Γ", "lg K"], truth=[0.1, 0.2])
    assert legend(pairs[0, 0]) == ["exact", "NPE", "truth"]
    exact, npe = pairs[1, 1].patches
    assert exact.get_linestyle() != npe.get_linestyle()
    assert exact.get_edgecolor() != npe.get_edgecolor()
    values, edges, _ = exact.get_data()
    assert np.sum(values * np.diff(edges)) == pytest.approx(1)  # a density
    assert pairs[1, 0].get_ylim() == pairs[1, 1].get_xlim() == (edges[0], edges[-1])
    assert (pairs[1, 0].get_xlabel(), pairs[1, 0].get_ylabel()) == ("Γ", "lg K")
    assert {tuple(line.get_xdata()) for line in pairs[1, 0].lines} >= {(0.1, 0.1)}
    assert not pairs[0, 1].axison


@pytest.mark.parametrize(
    ("samples", "more", "message"),
    [
        (np.zeros((9, 3)), {}, r"must be \(n_samples, 2\)"),
        (np.zeros((9, 2)), {}, "vary"),
        (np.full((9, 2), np.nan), {}, "finite"),
        (np.random.default_rng(5).normal(size=(9, 2)), {"truth": [1.0]}, "truth must be"),
    ],
)
def test_a_corner_that_cannot_be_drawn(pairs, samples, more, message):
    with pytest.raises(ValueError, match=message):
        plotting.corner(pairs, {"mine": samples}, ["Γ", "lg K"], **more)


def test_a_rank_histogram_counts_and_says_what_flat_ones_would_be(ax):
    k = np.repeat(np.arange(100), 10)
    k[:100] = 0  # 100 ranks of 0 to 9 moved to the lowest
    assert plotting.rank_histograms(ax, {"a": k / 99, "b": np.arange(100) / 99}, (0.03, 0.18)) is ax
    steps = {patch.get_label(): patch.get_data() for patch in ax.patches if patch.get_label()}
    np.testing.assert_allclose(steps["a"].values, 1)
    np.testing.assert_allclose(steps["a"].edges, np.linspace(0, 1, 11))
    band = ax.patches[0]
    assert (band.get_y(), band.get_y() + band.get_height()) == pytest.approx((0.3, 1.8))
    assert legend(ax) == ["a", "b"]


def test_rank_histograms_side_by_side_are_all_seen():
    _, axes = plt.subplots(1, 3, sharey=True)
    for ax, ranks in zip(axes, (np.arange(100) / 99, np.full(100, 0.5), np.ones(100)), strict=True):
        plotting.rank_histograms(ax, ranks, (0.03, 0.18))
    assert axes[0].get_ylim() == axes[2].get_ylim() == pytest.approx((0, 10.8))


@pytest.mark.parametrize("power", [2.0, 1.0, 0.5])
def test_coverage_is_the_distribution_function(ax, power):
    shares = torch.linspace(0, 1, 1001) ** power
    band = uniform_band(len(shares), torch.linspace(0, 1, 101))
    assert plotting.coverage(ax, {"mine": shares}, band) is ax
    levels, held = ax.lines[-1].get_data()
    np.testing.assert_allclose(held, levels ** (1 / power), atol=2e-3)
    (band,) = ax.collections
    inside = band.get_paths()[0].contains_points(np.column_stack([levels, held])[5:-5])
    assert inside.all() if power == 1 else inside.mean() < 0.5
    assert legend(ax) == ["mine"]


@pytest.mark.parametrize("draw", [plotting.rank_histograms, plotting.coverage])
@pytest.mark.parametrize("values", [np.zeros((2, 3)), [0.5, 1.5], [0.5, np.nan], []])
def test_shares_that_are_none(ax, draw, values):
    with pytest.raises(ValueError, match="numbers from 0 to 1"):
        draw(ax, {"mine": values}, (0.0, 1.0))
