"""The aligned-spin model: coordinates, post-Newtonian baseline, networks, higher modes, compiled evaluation, training."""
