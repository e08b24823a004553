"""Training of an estimator: banks, simulation, the network's training and its live efficiency."""
