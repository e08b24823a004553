"""The network in torch, and the same in integers: to the bit, for every number of bits."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gwsurrogate_ml.errors import ArtifactError, ConfigError, DataError
from gwsurrogate_ml.trigger.integer import IntegerLayer, IntegerNetwork
from gwsurrogate_ml.trigger.network import STREAM, LayerSettings, TriggerNetwork, fixed


def some(bits: int, layers: tuple[LayerSettings, ...] = STREAM, seed: int = 0) -> tuple[TriggerNetwork, torch.Tensor]:
    torch.manual_seed(seed)
    x = 1.5 * torch.randn(4, 2, 300)
    return TriggerNetwork(layers).quantised(bits, x), x


@pytest.mark.parametrize("bits", range(3, 9))
def test_torch_and_integers_agree_to_the_bit(bits: int) -> None:
    network, x = some(bits)
    integers = network.integers()
    with torch.no_grad():
        scores = network(x, padded=True).double().numpy() * 2.0**integers.fraction
    for strain, score in zip(x.numpy(), scores, strict=True):
        np.testing.assert_array_equal(integers(network.quantise(strain)), score)


@settings(deadline=None, max_examples=10)
@given(
    st.integers(3, 8),
    st.lists(st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(1, 7)), min_size=0, max_size=3),
    st.integers(0, 10_000),
)
def test_networks_of_other_shapes_agree_too(bits: int, shapes: list[tuple[int, int, int]], seed: int) -> None:
    layers = tuple(LayerSettings(channels=c, kernel=k, dilation=d) for c, k, d in [*shapes, (1, 2, 3)])
    network, x = some(bits, layers, seed)
    integers = network.integers()
    with torch.no_grad():
        score = network(x[:1], padded=True)[0].double().numpy() * 2.0**integers.fraction
    np.testing.assert_array_equal(integers(network.quantise(x[0].numpy())), score)


def test_integers_are_a_causal_convolution_by_its_formula() -> None:
    rng = np.random.default_rng(3)
    layer = IntegerLayer("one", rng.integers(-8, 8, (2, 3, 4)), rng.integers(-50, 50, 2), 5, np.array([2, -1]), 6)
    x = rng.integers(-16, 16, (3, 40))
    for t in (0, 7, 39):
        for o in range(2):
            total = int(layer.bias[o])
            for c in range(3):
                for i in range(4):
                    if (at := t - (3 - i) * 5) >= 0:
                        total += int(layer.weight[o, c, i]) * int(x[c, at])
            shifted = np.floor(total / 4 + 0.5) if o == 0 else 2 * total
            assert layer(x)[o, t] == min(max(shifted, 0), 63)


def test_input_is_rounded_alike_just_below_a_half() -> None:
    network, _ = some(6)
    strain = np.tile(np.nextafter(np.array([0.125, 0.375, -0.125], np.float32), np.float32(-9)), (2, 100))
    with torch.no_grad():
        score = network(torch.from_numpy(strain)[None], padded=True)[0].double().numpy() * 2.0 ** network.integers().fraction
    np.testing.assert_array_equal(network.integers()(network.quantise(strain)), score)


def test_scores_without_padding_are_the_later_ones_of_a_stream() -> None:
    network, x = some(6)
    assert network.receptive_field == 96
    assert sum(p.numel() for p in network.parameters()) == 565
    torch.testing.assert_close(network(x), network(x, padded=True)[:, 95:], rtol=0, atol=0)


def test_more_bits_come_closer_to_float() -> None:
    torch.manual_seed(0)
    plain, x = TriggerNetwork(), 1.5 * torch.randn(4, 2, 300)
    with torch.no_grad():
        error = [float((plain.quantised(bits, x)(x) - plain(x)).square().mean()) for bits in (3, 5, 8)]
    assert error[0] > 4 * error[1] > 16 * error[2]


def test_gradient_passes_roundings_and_not_saturation() -> None:
    x = torch.tensor([0.3, 5.0, -5.0], requires_grad=True)
    y = fixed(x, 1, -4, 3)
    y.sum().backward()
    assert y.tolist() == [0.5, 1.5, -2.0]
    assert x.grad is not None
    assert x.grad.tolist() == [1.0, 0.0, 0.0]


def test_artefact_gives_the_same_network() -> None:
    integers = some(5)[0].integers()
    again = IntegerNetwork.of(integers.description(), integers.tensors())
    x = np.random.default_rng(0).integers(-16, 16, (2, 200))
    np.testing.assert_array_equal(again(x), integers(x))
    tensors = integers.tensors()
    del tensors["layer2.bias"]
    with pytest.raises(ArtifactError, match=r"layer2\.bias"):
        IntegerNetwork.of(integers.description(), tensors)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ConfigError, match="bits is 2"):
        TriggerNetwork(bits=2)
    with pytest.raises(ConfigError, match="3 channels"):
        TriggerNetwork((LayerSettings(channels=3, kernel=2),))
    with pytest.raises(ConfigError, match="float32"):
        TriggerNetwork().integers()
    with pytest.raises(DataError, match="quantise strain"):
        some(6)[0].integers()(np.zeros((2, 10)))


def test_equalised_channels_reach_the_same_and_change_no_score() -> None:
    torch.manual_seed(1)
    plain, x = TriggerNetwork(), 1.5 * torch.randn(32, 2, 400)
    other = plain.equalised(x, 63)
    with torch.no_grad():
        torch.testing.assert_close(other(x), plain(x), rtol=1e-4, atol=1e-4)
        h = x.transpose(0, 1)
        for layer in other.layers[:-1]:
            h = torch.relu(layer.sums(h, layer.weight, layer.bias))
            share = (h.flatten(1) > 63).float().mean(dim=1)
            assert (share[h.flatten(1).amax(dim=1) > 0] - 5e-4).abs().max() < 2e-4
