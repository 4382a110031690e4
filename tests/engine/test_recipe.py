from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.engine.recipe import MAX_RECIPE_BYTES, Recipe, RecipeError, load_recipe, parse_recipe
from grader.errors import EXIT_USAGE

TEMPLATE = Path(__file__).parents[2] / "student_template"
REFERENCE = Path(__file__).parents[2] / "reference_solution"


def refusal(text: str) -> str:
    with pytest.raises(RecipeError) as caught:
        parse_recipe(text.encode())
    return str(caught.value)


def test_the_template_s_recipe_is_one_that_the_engine_accepts() -> None:
    recipe = load_recipe(TEMPLATE / "recipe.toml")

    assert recipe.schedule.name == "one_cycle"
    assert recipe.augmentation.flip


def test_the_template_s_recipe_is_the_one_the_reference_was_trained_by() -> None:
    recipe = load_recipe(TEMPLATE / "recipe.toml")

    assert recipe == load_recipe(REFERENCE / "recipe.toml")


def test_the_paper_s_recipe_has_the_paper_s_numbers() -> None:
    # Huang et al. 2017, sec. 4.2
    recipe = load_recipe(TEMPLATE / "recipe.paper.toml")

    assert (recipe.epochs, recipe.batch_size) == (300, 64)
    assert (recipe.optimizer.learning_rate, recipe.optimizer.momentum) == (0.1, 0.9)
    assert recipe.optimizer.nesterov
    assert recipe.optimizer.weight_decay == 1e-4
    assert not recipe.optimizer.decay_is_decoupled
    assert (recipe.schedule.name, recipe.schedule.milestones) == ("step", (0.5, 0.75))
    assert recipe.schedule.factor == 0.1
    assert (recipe.augmentation.flip, recipe.augmentation.pad_crop) == (True, 4)


def test_an_empty_recipe_is_the_defaults() -> None:
    assert parse_recipe(b"") == Recipe()


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "latin-1"])
def test_a_recipe_is_read_in_the_encoding_an_editor_saved_it_in(encoding: str) -> None:
    assert parse_recipe("epochs = 5  # é\n".encode(encoding)) == Recipe(epochs=5)


def test_an_unknown_key_is_refused_with_the_keys_that_are_known() -> None:
    message = refusal("[optimizer]\nlearning_rat = 0.1\n")

    assert "recipe.toml: optimizer.learning_rat: unknown key" in message
    assert "learning_rate" in message


def test_an_unknown_table_is_refused() -> None:
    assert "sheduler: unknown key" in refusal("[sheduler]\nname = 'step'\n")


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("epochs = 0", "epochs"),
        ("epochs = 100000", "epochs"),
        ("epochs = 12.5", "epochs"),
        ("epochs = '12'", "epochs"),
        ("epochs = true", "epochs"),
        ("batch_size = 0", "batch_size"),
        ("batch_size = 1000000", "batch_size"),
        ("seed = -1", "seed"),
        ("precision = 'float64'", "precision"),
        ("label_smoothing = 1.0", "label_smoothing"),
        ("[images]\nsizes = []", "images"),
        ("[images]\nsizes = [16, 24]\nchanges_at = [0.5]", "images"),
        ("[images]\nsizes = [24, 16, 32]\nchanges_at = [0.5, 0.6]", "images"),
        ("[images]\nsizes = [18, 32]\nchanges_at = [0.5]", "images.sizes.0"),
        ("[images]\nsizes = [16, 32]", "images"),
        ("[images]\nsizes = [16, 32]\nchanges_at = [1.0]", "images"),
        ("[images]\nsizes = [16, 24, 32]\nchanges_at = [0.6, 0.5]", "images"),
        ("[augmentation]\nalternate_flips = true", "augmentation"),
        ("ema = 1.0", "ema"),
        ("[optimizer]\nname = 'SGD'", "optimizer.name"),
        ("[optimizer]\nname = '__import__'", "optimizer.name"),
        ("[optimizer]\nlearning_rate = 0.0", "optimizer.learning_rate"),
        ("[optimizer]\nlearning_rate = nan", "optimizer.learning_rate"),
        ("[optimizer]\nlearning_rate = inf", "optimizer.learning_rate"),
        ("[optimizer]\nmomentum = 1.0", "optimizer.momentum"),
        ("[optimizer]\nweight_decay_excludes = ['all']", "optimizer.weight_decay_excludes"),
        ("[schedule]\nmilestones = [0.75, 0.5]", "schedule"),
        ("[schedule]\nmilestones = [1.5]", "schedule"),
        ("[augmentation]\nflip = 1", "augmentation.flip"),
        ("[augmentation]\npad_crop = 17", "augmentation.pad_crop"),
        ("optimizer = 'sgd'", "optimizer"),
    ],
)
def test_a_value_out_of_bounds_is_refused_by_file_key_and_value(text: str, key: str) -> None:
    message = refusal(text)

    assert message.startswith(f"recipe.toml: {key}")
    assert "Received: " in message


def test_whole_numbers_may_stand_for_real_ones() -> None:
    assert parse_recipe(b"[augmentation]\nmixup = 0\n").augmentation.mixup == 0.0


def test_all_mistakes_are_named_at_once() -> None:
    assert len(refusal("epochs = 0\nbatch_size = 0\n").splitlines()) == 2


@pytest.mark.parametrize("raw", [b"epochs = ", b"\xff\xfe", b"a = 1\na = 2\n"])
def test_text_that_is_not_toml_is_refused(raw: bytes) -> None:
    with pytest.raises(RecipeError, match=r"recipe\.toml: not valid TOML"):
        parse_recipe(raw)


def test_a_hundred_thousand_open_brackets_are_refused_not_crashed_on() -> None:
    with pytest.raises(RecipeError, match=r"recipe\.toml"):
        parse_recipe(b"a = " + b"[" * 60_000)


def test_a_file_larger_than_a_recipe_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_bytes(b"#" * (MAX_RECIPE_BYTES + 1))

    with pytest.raises(RecipeError, match="at most 65536 bytes"):
        load_recipe(path)


def test_a_missing_recipe_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"recipe\.toml: cannot be read") as caught:
        load_recipe(tmp_path / "recipe.toml")

    assert caught.value.exit_status == EXIT_USAGE


def test_a_long_value_is_shown_cut_and_in_plain_ascii() -> None:
    message = refusal(f'precision = "\\u001b[31m{"x" * 5000}"')

    assert "\x1b" not in message
    assert len(message) < 300


def test_equal_values_have_equal_hashes_however_they_are_written() -> None:
    spelled = parse_recipe(b"# a comment\nepochs = 12\n[optimizer]\nlearning_rate = 1e-1\n")

    assert spelled.sha256 == Recipe().sha256
    assert spelled.sha256 != parse_recipe(b"epochs = 13").sha256


def told(raw: bytes) -> str:
    try:
        return parse_recipe(raw).sha256
    except RecipeError as error:
        return str(error)


@given(st.binary(max_size=200))
def test_any_bytes_give_a_recipe_or_a_refusal(raw: bytes) -> None:
    assert told(raw) == Recipe().sha256 or told(raw).startswith("recipe.toml")


def test_a_byte_order_mark_as_windows_writes_it_is_no_mistake() -> None:
    assert parse_recipe(b"\xef\xbb\xbfepochs = 3\n").epochs == 3
