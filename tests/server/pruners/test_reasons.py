from tpeak_server.pruners.reasons import counted, told_apart


def test_numbers_are_short_unless_they_would_look_equal() -> None:
    assert told_apart(0.123456789, 2.0) == ("0.123457", "2")
    assert told_apart(1.00000001, 1.0) == ("1.00000001", "1.0")


def test_one_thing_is_singular() -> None:
    assert (counted(1, "trial"), counted(2, "trial")) == ("1 trial", "2 trials")
