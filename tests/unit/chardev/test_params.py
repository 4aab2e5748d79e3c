import pytest

from varan.chardev.base import ChardevError
from varan.chardev.params import Params


@pytest.mark.parametrize(
    ("text", "value"),
    [("on", True), ("yes", True), ("true", True), ("off", False), ("no", False), ("false", False)],
)
def test_bool_reads_every_spelling(text, value):
    assert Params("c", {"server": text}).take_bool("server") is value


def test_bool_that_is_none_names_chardev_and_option():
    with pytest.raises(ChardevError, match=r"chardev 'c': option 'server' expects on or off, not 'maybe'"):
        Params("c", {"server": "maybe"}).take_bool("server")


@pytest.mark.parametrize("text", ["", "-1", "65536", "0x10", "1e3", "٣", "9" * 5000])
def test_int_out_of_range_or_no_number_is_refused(text):
    with pytest.raises(ChardevError, match="'port' expects a number from 0 to 65535"):
        Params("c", {"port": text}).take_int("port", 0, 65535)


@pytest.mark.parametrize(("text", "size"), [("4096", 4096), ("64K", 65536), ("1m", 1 << 20), ("8b", 8)])
def test_size_reads_suffixes(text, size):
    assert Params("c", {"size": text}).take_size("size") == size


@pytest.mark.parametrize("text", ["", "64X", "-4", "1.5K", "K"])
def test_size_that_is_none_is_refused(text):
    with pytest.raises(ChardevError, match="'size' expects a size"):
        Params("c", {"size": text}).take_size("size")


def test_finish_refuses_what_nobody_took():
    params = Params("c", {"path": "x", "colour": "red"})
    params.take("path")
    with pytest.raises(ChardevError, match="chardev 'c': there is no option 'colour'"):
        params.finish()


@pytest.mark.parametrize("path", ["", "a\0b"])
def test_path_that_cannot_be_is_refused(path):
    with pytest.raises(ChardevError, match="'path' expects a file name"):
        Params("c", {"path": path}).take_path("path")
