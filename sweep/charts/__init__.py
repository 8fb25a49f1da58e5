"""Charts as Vega-Lite specifications: pure functions of frames, for the report's page and for notebooks.

`heat_map`, `parallel` and `strip` make a `Chart`; `heat_map_spec` is the report's, which its script fills.
"""

from sweep.charts.chart import Chart
from sweep.charts.heat_map import heat_map, heat_map_spec
from sweep.charts.parallel import parallel
from sweep.charts.strip import strip
from sweep.charts.theme import DARK, LIGHT, PAGE, Theme

__all__ = ["DARK", "LIGHT", "PAGE", "Chart", "Theme", "heat_map", "heat_map_spec", "parallel", "strip"]
