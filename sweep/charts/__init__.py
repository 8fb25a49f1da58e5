"""Charts as Vega-Lite specifications: pure functions of frames, for the report's page and for notebooks.

`heat_map`, `parallel` and `strip` make a `Chart`; `heat_map_spec` is the report's, which its script fills.
"""

from sweep.charts.chart import Chart
from sweep.charts.heat_map import MOST_TEXTS, bins_of, edges, heat_map, heat_map_spec, labelled, thresholds
from sweep.charts.labels import texts, titled
from sweep.charts.parallel import STRETCHES, density, height_of, parallel, saving_heights, top
from sweep.charts.strip import strip
from sweep.charts.theme import PAGE

__all__ = [
    "MOST_TEXTS",
    "PAGE",
    "STRETCHES",
    "Chart",
    "bins_of",
    "density",
    "edges",
    "heat_map",
    "heat_map_spec",
    "height_of",
    "labelled",
    "parallel",
    "saving_heights",
    "strip",
    "texts",
    "thresholds",
    "titled",
    "top",
]
