import numpy as np
import pytest
import torch
from ninefold.errors import InputError
from tswitch import activation_switch, polarity_switch, switch_knob, ternarise

from .oracle import knob_of, mask_of, random_tau

TEN = torch.tensor([0.9, -0.8, 0.5, -0.4, 0.3, -0.2, 0.1, 0.05, 0, 0])


def test_hand_case_keeps_all_signs_when_nothing_is_dropped():
    switch = ternarise(TEN, alpha=0)
    assert switch.codes.tolist() == [1, -1, 1, -1, 1, -1, 1, 1, 0, 0]
    assert switch.scale == pytest.approx(0.5003124, abs=1e-7)


def test_hand_case_keeps_three_when_half_is_dropped():
    switch = ternarise(TEN, alpha=0.5)
    assert switch.codes.tolist() == [1, -1, 1, 0, 0, 0, 0, 0, 0, 0]
    assert switch.scale == pytest.approx(0.8170067, abs=1e-7)  # as long as the whole change
    assert ternarise(TEN, 0.5, "l2").scale == pytest.approx(0.7527727, abs=1e-7)
    assert switch.active == 3


def test_ten_positives_at_nine_tenths_keep_exactly_one():
    # 10 * (1 - 0.9) is 0.9999999999999998 in floating point
    assert activation_switch(torch.arange(1, 11) / 10, 0.9).tolist() == [False] * 9 + [True]


def test_signs_are_thresholded_apart():
    tau = torch.tensor([10.0, 9, 8, 7, -0.4, -0.3, -0.2, -0.1])
    assert activation_switch(tau, 0.5).tolist() == [True, True, False, False, True, True, False, False]


def test_ties_at_the_threshold_are_all_kept():
    assert activation_switch(torch.tensor([3.0, 2, 2, 2, 1]), 0.6).tolist() == [True, True, True, True, False]


def test_a_sign_with_too_few_entries_stays_whole_and_is_logged(caplog):
    with caplog.at_level("INFO", "tswitch"):
        mask = activation_switch(torch.tensor([4.0, 3, 2, 1, -0.5]), 0.7)
    assert mask.tolist() == [True, False, False, False, True]
    assert "all 1 negative entries stay" in caplog.text


def test_polarity_is_never_zero():
    assert polarity_switch(torch.tensor([0.0, -0.0, -1e-45, 2])).tolist() == [1, 1, -1, 1]


def test_mean_scale_is_the_least_squares_one():
    generator = torch.Generator().manual_seed(0)
    tau = torch.randn(1000, generator=generator)
    mask = activation_switch(tau, 0.6)
    signs = (polarity_switch(tau) * mask).double()
    least_squares = (tau.double() @ signs / (signs @ signs)).item()
    assert switch_knob(tau, mask, "mean") == pytest.approx(least_squares, rel=1e-6)
    assert switch_knob(tau, mask, "mean") < switch_knob(tau, mask, "l2") < switch_knob(tau, mask, "full")


def test_masks_signs_and_scales_equal_a_full_sort_on_every_dtype_and_shape():
    generator = np.random.default_rng(1)
    shapes = [(), (0,), (1,), (7,), (33, 5), (2, 0, 3), (4, 3, 2, 2), (129,)]
    for trial in range(400):
        shape = shapes[trial % len(shapes)]
        dtype = (torch.float32, torch.float16, torch.bfloat16, torch.float64)[trial // len(shapes) % 4]
        alpha = float(generator.choice([0, 0.3, 0.5, 0.6, 0.9, 0.95, 0.999]))
        tau = torch.from_numpy(np.array(random_tau(generator, shape))).to(dtype)
        tau[~torch.isfinite(tau)] = 0  # 1e30 is infinite in float16
        single = tau.float().numpy()
        scale = ("l2", "mean", "full")[trial % 3]
        switch = ternarise(tau, alpha, scale)
        mask = mask_of(single, alpha)
        assert np.array_equal(activation_switch(tau, alpha).numpy(), mask)
        assert np.array_equal(switch.codes.numpy(), np.where(mask, np.sign(single), 0))
        assert np.float32(switch.scale) == knob_of(single, mask, scale)
        assert switch.active == mask.sum()


def test_a_transposed_tensor_gives_the_transposed_mask():
    tau = torch.randn(6, 8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(activation_switch(tau.T, 0.6), activation_switch(tau, 0.6).T)


@pytest.mark.parametrize("alpha", [1, 60, -0.1, float("nan")])
def test_alpha_outside_its_range_is_refused(alpha):
    with pytest.raises(InputError, match=r"alpha.*share"):
        activation_switch(torch.ones(3), alpha)


def test_what_is_not_finite_is_counted_and_refused():
    with pytest.raises(InputError, match="2 NaN or infinite"):
        activation_switch(torch.tensor([1.0, float("nan"), -float("inf")]))


def test_an_unknown_scale_is_refused():
    with pytest.raises(InputError, match=r"scale.*'l2' or 'mean' or 'full'"):
        switch_knob(torch.ones(2), torch.ones(2, dtype=torch.bool), "max")  # pyright: ignore[reportArgumentType]


def test_a_mask_of_another_shape_is_refused():
    with pytest.raises(InputError, match="mask"):
        switch_knob(torch.ones(2), torch.ones(3, dtype=torch.bool))


@pytest.mark.parametrize("alpha", [0.0, 0.6, 0.9, 0.98])
def test_each_scale_minimises_or_keeps_what_it_says(alpha):
    tau = torch.randn(5000, generator=torch.Generator().manual_seed(1)).double()
    mask = activation_switch(tau, alpha)
    switch = (polarity_switch(tau) * mask).double()
    knobs = {scale: switch_knob(tau, mask, scale) for scale in ("l2", "mean", "full")}
    assert (knobs["full"] * switch).norm() == pytest.approx(float(tau.norm()), rel=1e-6)  # as long as the change
    assert (knobs["l2"] * switch).norm() == pytest.approx(float(tau[mask].norm()), rel=1e-6)  # as what was kept of it
    for other in (0.99, 1.01):  # least squares
        assert (knobs["mean"] * switch - tau).norm() < (other * knobs["mean"] * switch - tau).norm()
