from tpeak.pruners import NopPruner


def test_it_travels_as_its_name():
    assert NopPruner().wire() == {"name": "nop"}
