"""Charts that are interactive, as specifications of Vega-Lite: for the report and for notebooks."""
