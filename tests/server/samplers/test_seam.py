import numpy as np
import pytest

from tpeak_server.samplers.seam import Stream


@pytest.mark.parametrize(("seed", "number"), [(0, 0), (7, 2**32 - 1), (2**32, 2**32 + 1), (2**63 - 1, 5)])
def test_a_stream_is_seeded_with_the_study_the_number_and_the_purpose(seed: int, number: int) -> None:
    joint = 0x74A25E9E9E558C56
    expected = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, number, joint])))
    assert Stream(seed, number)("joint").random() == expected.random()
