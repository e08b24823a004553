"""`wigner.turn` for many binaries in torch, with its derivatives of all orders in frames and modes.

A small rotation ``omega`` of the frame changes the turned modes by ``-i (omega . J)`` times them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from gwsurrogate_ml.kernels.threads import in_threads
from gwsurrogate_ml.surrogate.precessing import wigner


def _on_cpu(frames: torch.Tensor, modes: torch.Tensor) -> torch.Tensor:
    f, m = frames.contiguous().numpy(), modes.resolve_conj().contiguous().numpy()
    out = np.empty_like(m)

    def work(part: slice) -> None:
        for i in range(part.start, part.stop):
            wigner.turn(wigner.QUARTER, wigner.QUARTER_TRANSPOSED, f[i], m[i], out[i])

    in_threads(work, len(m))
    return torch.from_numpy(out)


def _elsewhere(frames: torch.Tensor, modes: torch.Tensor) -> torch.Tensor:
    """As `wigner.turn`, for tensors on any device."""
    w, x, y, z = frames.unbind(-1)
    cosine, sine = torch.sqrt(w**2 + z**2), torch.sqrt(x**2 + y**2)
    safe = cosine + (cosine == 0), sine + (sine == 0)
    left = torch.where(cosine > 0, torch.complex(w, -z) / safe[0], 1.0)
    right = torch.where(sine > 0, torch.complex(-y, -x) / safe[1], 1.0)
    tilt = torch.complex(cosine, -sine) ** 2 / (cosine**2 + sine**2)
    first, middle, last = -1j * left * right.conj(), tilt, 1j * left * right
    out = []
    for l in range(2, wigner.TOP + 1):
        rows = slice(l * l - 4, (l + 1) ** 2 - 4)
        size = 2 * l + 1
        quarter = torch.as_tensor(wigner.QUARTER[l - 2, :size, :size], device=modes.device).to(modes.dtype)
        m = torch.arange(-l, l + 1, device=modes.device)[:, None]
        powers = [factor[:, None] ** m for factor in (first, middle, last)]
        out.append((quarter @ ((quarter.T @ (modes[:, rows] * powers[0])) * powers[1])) * powers[2])
    return torch.cat(out, 1)


def _product(p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
    """Product of quaternions (..., 4)."""
    a, u, b, v = p[..., :1], p[..., 1:], q[..., :1], q[..., 1:]
    return torch.cat([a * b - (u * v).sum(-1, keepdim=True), a * v + b * u + torch.linalg.cross(u, v)], -1)


def _conjugate(frames: torch.Tensor) -> torch.Tensor:
    return torch.cat([frames[..., :1], -frames[..., 1:]], -1)


def _generators(turned: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """J_x, J_y, J_z of `turned` (N, 32, n)."""
    up = torch.as_tensor(wigner.RAISING, device=turned.device)[:, None]
    raised = up * turned.roll(1, 1)
    lowered = up.roll(-1, 0) * turned.roll(-1, 1)
    orders = torch.as_tensor(wigner.INERTIAL_ORDERS, device=turned.device)[:, None]
    return 0.5 * (raised + lowered), -0.5j * (raised - lowered), orders * turned


class _Turn(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, frames: torch.Tensor, modes: torch.Tensor) -> torch.Tensor:
        out = (_on_cpu if modes.device.type == "cpu" else _elsewhere)(frames.detach(), modes.detach())
        ctx.save_for_backward(frames, out)
        ctx.save_for_forward(frames, out)
        return out

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> Any:
        frames, turned = ctx.saved_tensors
        if torch.is_grad_enabled() or grad.device.type != "cpu":
            torque = torch.stack([(grad.conj() * x).imag.sum(1) for x in _generators(turned)], -1)
        else:
            found = np.zeros((*frames.shape[:2], 3))
            g, t = grad.resolve_conj().contiguous().numpy(), turned.numpy()

            def work(part: slice) -> None:
                for i in range(part.start, part.stop):
                    wigner.torques(g[i], t[i], wigner.RAISING, found[i])

            in_threads(work, len(g))
            torque = torch.from_numpy(found)
        pure = torch.cat([torch.zeros_like(torque[..., :1]), torque], -1)
        to_frames = 2.0 * _product(pure, frames) / (frames**2).sum(-1, keepdim=True)
        return to_frames, turn(_conjugate(frames), grad)

    @staticmethod
    def jvp(ctx: Any, frames_tangent: torch.Tensor | None, modes_tangent: torch.Tensor | None) -> torch.Tensor:
        frames, turned = ctx.saved_tensors
        out = torch.zeros_like(turned) if modes_tangent is None else turn(frames, modes_tangent)
        if frames_tangent is not None:
            turning = 2.0 * _product(frames_tangent, _conjugate(frames))[..., 1:] / (frames**2).sum(-1, keepdim=True)
            for k, x in enumerate(_generators(turned)):
                out = out - 1j * turning[:, None, :, k] * x
        return out


def turn(frames: torch.Tensor, modes: torch.Tensor) -> torch.Tensor:
    """Co-precessing modes seen from the inertial frame.

    Parameters
    ----------
    frames : (N, n, 4) float64
        quaternions, scalar first, of any length, from the co-precessing to the inertial frame
    modes : (N, 32, n) complex128
        in the order of `wigner.INERTIAL`

    Returns
    -------
    (N, 32, n) complex128
    """
    return _Turn.apply(frames, modes)
