"""A search without templates: bursts that two detectors see alike, told from noise and glitches by a small trained network.

`white` whitens, `tiles` finds where one detector is louder than noise, `autoencoder` says what the burst looks like there,
`pairs` compares two detectors, `model` scores a pair and names the nearest class, `pipeline` slides and ranks, `simulate` and
`train` make what the model learns from, `figure` draws one candidate.
"""
