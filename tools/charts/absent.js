// Stands in for the transforms of vega that no chart of ours uses.
export {};
