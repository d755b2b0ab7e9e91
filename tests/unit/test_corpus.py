"""The corpus that the bundled model learnt from: the same each time, and sound. Needs no PyTorch."""

import itertools
import re
import sys

import pytest


@pytest.fixture(scope="module")
def train(repo):
    """tools/train's modules by name; they import each other as files of one folder."""
    sys.path.insert(0, str(repo / "tools" / "train"))
    try:
        import corpus
        import facts
        import stories
        import talk
        import words
        yield {module.__name__: module for module in (corpus, facts, stories, talk, words)}
    finally:
        sys.path.pop(0)


@pytest.fixture(scope="module")
def documents(train):
    return list(itertools.islice(train["corpus"].documents(1), 4000))


def test_the_same_seed_gives_the_same_documents(train, documents):
    assert list(itertools.islice(train["corpus"].documents(1), 100)) == documents[:100]
    assert list(itertools.islice(train["corpus"].documents(2), 100)) != documents[:100]


def test_documents_begin_and_end_with_their_marks(documents):
    for document in documents:
        assert document[0] == "<s>" and document[-1] == "</s>", document
        assert all(isinstance(part.blank, bool) for part in document if part not in ("<s>", "</s>"))


@pytest.mark.parametrize("fault", [
    r"  ", r"\ba [aeio]", r"\ban (?!LLM|llm|hour)[^aeiouA]", r"[{}]", r" [.,!?]", r"\.\.", r"\bNone\b", r"[^\x00-\x7f]"])
def test_grammar(train, documents, fault):
    texts = map(train["corpus"].plain, documents)
    assert not [text for text in texts if re.search(fault, text)]


def test_a_story_keeps_its_people_and_things(train):
    import random
    rng = random.Random(3)
    for _ in range(500):
        story = train["stories"].Story(rng)
        assert 5 <= len(story.sentences) <= 20 and story.text[-1] in '."!'
        assert story.hero.name in story.sentences[0] and story.text.count(story.hero.name) > 2
        named = set(re.findall(r"named (\w+)", story.text))
        assert named <= {story.hero.name, getattr(story.friend, "name", None)}
        if story.thing:
            assert story.thing in story.text
            others = [thing for thing in train["words"].THINGS
                      if re.search(rf"\b{thing}\b", story.text) and thing not in story.thing]
            assert not set(others), story.text


def test_a_story_has_what_was_asked_for(train):
    import random
    rng = random.Random(4)
    for _ in range(500):
        said, answer = train["talk"].story(rng)
        for wish in re.findall(r"\ban? (\w+(?: bear| car| plane)?)(?= and|\.| named)", said.partition("about")[2]):
            assert wish in answer or wish in ("girl", "boy"), (said, answer)


def test_arithmetic_is_right(train):
    import random
    rng, numbers = random.Random(5), train["facts"].NUMBERS
    seen = set()
    for _ in range(4000):
        answer = rng.choice([train["talk"].addition, train["talk"].subtraction])(rng)[1].lower()
        a, sign, b, result = re.fullmatch(r"(\w+) (plus|minus|\+|-) (\w+) (?:is|=) (\w+)\.", answer).groups()
        a, b, result = (numbers.index(word) if word in numbers else int(word) for word in (a, b, result))
        assert result == (a + b if sign in ("plus", "+") else a - b) and 0 <= result <= 20
        seen.add((a, sign in ("plus", "+"), b))
    assert len(seen) > 400


def test_the_transcripts_are_those_of_the_prompt_files(train, repo):
    """Someone who runs these files meets text that the model knows."""
    assert (repo / "prompts/chat-with-bob.txt").read_text() == train["talk"].BOB + "User:"
    assert (repo / "prompts/alpaca.txt").read_text() == train["talk"].ALPACA + "\n"
