"""Which bands make a picture, wherever one is drawn."""

import pytest

from mapgen.files.pictures import shown_bands


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        (("red", "green", "blue"), (0, 1, 2)),
        (("NIR", "Red", "Green", "Blue"), (1, 2, 3)),
        (("nir", "swir", "red", "green"), (0, 1, 2)),
        (("nir",), (0,)),
        (("vv", "vh"), (0,)),
    ],
)
def test_red_green_and_blue_are_found_by_name_in_any_case(names, wanted):
    assert shown_bands(names) == wanted
