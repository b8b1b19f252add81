"""The machinery: sizes, machines, files that survive, sweeps, results and their fingerprints."""
