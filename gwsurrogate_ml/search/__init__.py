"""A small offline search: a stochastic template bank, triggers, a signal-consistency test, coincidence and time slides.

`bank` places templates, `bank_files` exchanges them with pycbc, `single` filters one detector, `coincidence` pairs detectors
and slides them, `pipeline` runs it all on strain, `figure` draws the ranking statistic against its background.
"""
