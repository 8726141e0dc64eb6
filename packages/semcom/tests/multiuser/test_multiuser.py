"""Orthogonal users do not meet, their symbols add up, and superposed users do meet."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ninefold.errors import InputError
from semcom.datasets import load_captioned
from semcom.multiuser import ACCESS, ALLOCATIONS, MultiUserLink, User, allocate, owners
from semcom.multiuser._orthogonal import at_power
from semcom.phy import Channel, power
from semcom_experiments.superposed import SuperposedLink

SNRS = (0.0, 5.0, 10.0, 15.0)


@pytest.fixture(scope="module")
def people():
    data = load_captioned("embedded", limit=12)
    fading = Channel.from_spec("rayleigh:image")
    return [
        User(data.images[u::4], data.captions[u::4], fading, SNRS[u], power=1 + u / 2, seed=100 + u) for u in range(4)
    ]


@pytest.mark.parametrize("access", ACCESS)
@pytest.mark.parametrize("change", ["picture", "caption", "fading"])
def test_what_user_two_does_changes_no_bit_of_the_others(access, change, people, tiny_link):
    band = MultiUserLink([tiny_link()] * 4, SNRS, access=access)
    arguments = {"num_candidates": 2, "seed": 3}
    before = band.carry(people, **arguments)
    second = people[1]
    changed = {
        "picture": replace(second, images=255 - second.images),
        "caption": replace(second, captions=["something else"] * 3),
        "fading": replace(second, channel=Channel.from_spec("rician:k=9"), seed=7, power=4.0),
    }[change]
    after = band.carry([people[0], changed, *people[2:]], **arguments)
    for user in (0, 2, 3):
        one, two = before[user].received, after[user].received
        np.testing.assert_array_equal(one.images, two.images)
        np.testing.assert_array_equal(one.evidence.candidates, two.evidence.candidates)
        np.testing.assert_array_equal(one.evidence.text_error, two.evidence.text_error)
    assert not np.array_equal(before[1].received.evidence.candidates, after[1].received.evidence.candidates)


@pytest.mark.parametrize("access", ACCESS)
def test_each_user_equals_its_single_run_and_symbols_add_up(access, people, tiny_link):
    band = MultiUserLink([tiny_link()] * 4, SNRS, access=access)
    together = band.carry(people, num_candidates=1)
    for number, (user, one) in enumerate(zip(people, together, strict=True)):
        link = band.links[number]
        sent = link.transmit(user.images, user.captions, user.effective_snr_db)
        arrived = at_power(user, np.float32(np.sqrt(user.power)) * sent.symbols)
        alone = link.receive(arrived, user.effective_snr_db, num_candidates=1)
        np.testing.assert_array_equal(one.received.images, alone.images)
        assert one.report.energy == pytest.approx(user.power, rel=1e-4)
    assert sum(one.report.symbols for one in together) == band.symbols == 128
    frame, _ = band.frame(people)
    for number, user in enumerate(people):
        np.testing.assert_allclose(power(frame[:, band.owner == number]), user.power, rtol=1e-3)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 300), st.floats(-10, 30)), min_size=1, max_size=6),
    st.integers(60, 900), st.sampled_from(sorted(ALLOCATIONS)), st.sampled_from(ACCESS),
)  # fmt: skip
def test_shares_are_the_band_exactly(users, total, policy, access):
    shares = allocate(total, [one for one, _ in users], [snr for _, snr in users], policy, least=9)
    assert sum(shares) == total
    assert min(shares) >= 9
    assert np.bincount(owners(shares, access), minlength=len(shares)).tolist() == shares


def test_policies_do_what_they_say():
    assert allocate(100, [10, 30], [0, 0]) == [50, 50]
    assert allocate(100, [10, 30], [0, 0], "proportional", least=0) == [25, 75]
    shares = allocate(1000, [1, 1, 1], [0, 10, 20], "maxmin", least=0)
    rates = [share * np.log2(1 + 10 ** (snr / 10)) for share, snr in zip(shares, (0, 10, 20), strict=True)]
    assert max(rates) / min(rates) < 1.02
    whose = owners([32, 16, 16], "ofdma")
    assert all((whose[at : at + 16] == user).sum() > 0 for at in (0, 16, 32, 48) for user in range(3))
    assert (np.diff(owners([3, 2], "tdma")) >= 0).all()


def test_superposed_users_disturb_each_other(people, tiny_link):
    link = tiny_link()
    plain = [replace(user, channel=Channel(), power=1.0, snr_db=10.0) for user in people]
    both = SuperposedLink([link, link]).carry(plain[:2], num_candidates=0)
    alone = SuperposedLink([link]).carry(plain[:1], num_candidates=0)
    assert both[0].received.text.noise.mean() > 5 * alone[0].received.text.noise.mean()
    assert both[0].received.text.noise.mean() == pytest.approx(1.1, rel=1e-3)
    changed = SuperposedLink([link, link]).carry([plain[0], plain[2]], num_candidates=0)
    assert not np.array_equal(both[0].received.images, changed[0].received.images)
    faded = SuperposedLink([link] * 4).carry(people, num_candidates=1)
    assert all(one.received.images.shape == (3, 32, 32, 3) for one in faded)


def test_bad_users_are_named(people, tiny_link):
    link = tiny_link()
    with pytest.raises(InputError, match="power"):
        replace(people[0], power=0)
    with pytest.raises(InputError, match="NaN"):
        replace(people[0], snr_db=float("nan"))
    with pytest.raises(InputError, match="allocation"):
        MultiUserLink([link] * 2, [0, 0], allocation="lottery")
    with pytest.raises(InputError, match="access"):
        MultiUserLink([link] * 2, [0, 0], access="cdma")
    with pytest.raises(InputError, match="at least 36"):
        MultiUserLink([link] * 4, SNRS, symbols=20)
    with pytest.raises(InputError, match="coder fills"):
        MultiUserLink([link] * 2, [0, 0], symbols=600)
    with pytest.raises(InputError, match="one a link"):
        MultiUserLink([link] * 2, [0, 0]).carry(people)
    with pytest.raises(InputError, match="as many pictures"):
        MultiUserLink([link] * 2, [0, 0]).carry(
            [people[0], replace(people[1], images=people[1].images[:1], captions=None)]
        )
    with pytest.raises(InputError, match=r"channel of user 1.*ofdm"):
        SuperposedLink([link] * 2).carry([replace(people[0], channel=Channel("ofdm")), people[1]])
    with pytest.raises(InputError, match="users"):
        allocate(10, [], [])
