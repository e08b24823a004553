"""Where draws come from: the data compressed, the trained network, flows fitted to one event, and what is novel in the data."""
