#!/usr/bin/env bash
# scipy 1.16.3: `scipy.linalg.solve_discrete_are` balances its pencil by default, and for a plant as plain as an unstable pendulum of 1 Hz
# at 256 samples a second, shaken by noise of 2 Hz bandwidth, its torque held for a sample (4 states), returns a matrix that does not
# solve the equation: residual 2 %, the trace a fifth too large, no warning. With noise of 0.05 Hz it is not even
# positive: a cost below zero. `balanced=False` solves both to 14 digits; so does the plain recursion of Riccati's equation.
# A good engineer would trust the default, which is there to gain digits, and get a regulator that is not the best.
#
# Output seen: "noise of 2 Hz: residual 2.1e-02 balanced, 7.2e-15 not; trace 7.43 balanced, 6.14 not, 6.14 by recursion" and
# "noise of 0.05 Hz: residual 2.5e-03 balanced, 1.7e-14 not; trace -68075.18 balanced, 1110.21 not, 1110.21 by recursion".
# The balanced numbers are those of rounding, and change with the machine.
set -euo pipefail
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT
python3 -m venv "$here/env"
"$here/env/bin/pip" install --quiet "scipy==1.16.3" "numpy==2.3.5"
cat > "$here/look.py" <<'PYTHON'
import numpy as np
from scipy.linalg import expm, solve_discrete_are

TURN, RATE = 2 * np.pi, 256.0


def mirror(corner, level):
    """States: angle, rate, shaking torque, held torque; the cost is angle^2 + 3e-5 torque^2."""
    flow = np.zeros((4, 4))
    flow[0, 1], flow[1] = 1, [TURN**2, -TURN * 0.024, TURN**2 * level, TURN**2]
    flow[2, 2] = -TURN * corner
    a = np.vstack([expm(flow / RATE)[:3], np.zeros(4)])
    return a, np.eye(4)[:, 3:], np.diag([1.0, 0, 0, 0]), np.array([[3e-5]])


def onwards(a, b, q, r, x):
    return a.T @ x @ a + q - a.T @ x @ b @ np.linalg.solve(r + b.T @ x @ b, b.T @ x @ a)


def residual(a, b, q, r, x):
    return np.abs(onwards(a, b, q, r, x) - x).max() / np.abs(x).max()


for corner, level in ((2.0, 30.0), (0.05, 300.0)):
    plant = mirror(corner, level)
    balanced, plain = (solve_discrete_are(*plant, balanced=yes) for yes in (True, False))
    again = np.eye(4)
    for _ in range(20000):
        again = onwards(*plant, again)
    print(
        f"noise of {corner:g} Hz: residual {residual(*plant, balanced):.1e} balanced, {residual(*plant, plain):.1e} not; "
        f"trace {np.trace(balanced):.2f} balanced, {np.trace(plain):.2f} not, {np.trace(again):.2f} by recursion"
    )
    assert residual(*plant, plain) < 1e-10 and np.allclose(plain, again, rtol=1e-6, atol=1e-6 * np.abs(plain).max())
    assert np.abs(balanced - plain).max() > 1e-2 * np.abs(plain).max(), "the behaviour has changed"
PYTHON
"$here/env/bin/python" -W error "$here/look.py"
