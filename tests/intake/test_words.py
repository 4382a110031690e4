"""Students found within names that no known platform wrote: surely, or not at all."""

import pytest

from grader.intake.words import Keys, shared

CLASS = {
    "1001": ["1001", "jdoe", "jane.doe@uni.edu", "Jane Doe", "doejane"],
    "1002": ["1002", "mroe", "Max van der Roe", "van der Roe, Max"],
    "1003": ["1003", "ezola", "Émile Zola"],
    "1004": ["1004", "jane", "Jane Wu"],
    "1005": ["1005", "Seán O'Brien"],
    "70005": ["70005", "s-1234567", "Li Wei"],
    "70006": ["70006", "wli", "Wei Li"],
}
KEYS = Keys(CLASS)


@pytest.mark.parametrize(
    ("name", "whose"),
    [
        ("Jane Doe - submission", {"1001"}),
        ("HW1_DOE-JANE_final", {"1001"}),
        ("doejane (2)", {"1001"}),
        ("late jane.doe@uni.edu", {"1001"}),
        ("Zola_Emile_6125", {"1003"}),
        ("Max van der Roe 30.09.2027", {"1002"}),
        ("Sean OBrien_44", {"1005"}),
        ("O’Brien, Seán", {"1005"}),
        ("Seán_O_Brien-0eed17c4", {"1005"}),
        ("group 3 s-1234567", {"70005"}),
        ("2027-09-30 70006", {"70006"}),
        ("Wei Li, wli", {"70006"}),  # the login tells which of the two it is
        ("Wei Li", {"70005", "70006"}),
        ("Jane Doe and Émile Zola", {"1001", "1003"}),
        ("somebody else", set()),
        ("", set()),
    ],
)
def test_whole_names_addresses_and_ids_are_found_in_any_writing(name: str, whose: set[str]) -> None:
    assert KEYS.within(name) == whose


@pytest.mark.parametrize("name", ["Jane Roe - homework", "jdoe smith", "1001 ways", "mroe_x"])
def test_a_login_of_letters_or_a_short_number_beside_other_words_is_nobodys(name: str) -> None:
    assert KEYS.within(name) == set()


def test_beside_what_most_names_have_a_login_or_a_short_number_is_enough() -> None:
    common = shared(["hw3-jdoe-1-repo", "hw3-mroe-2-repo", "hw3-1003-repo"])

    assert common == {"hw3", "repo"}
    assert KEYS.within("hw3-jdoe-1-repo", common) == {"1001"}
    assert KEYS.within("hw3-1003-repo", common) == {"1003"}
    assert KEYS.within("hw3-jane-roe-repo", common) == set()


def test_what_one_name_alone_has_is_not_common() -> None:
    assert shared(["alice"]) == frozenset()
    assert shared([]) == frozenset()
