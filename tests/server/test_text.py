"""What of a text may go out: whole characters, no stop word, nothing that may become one."""

import pytest

from llamacy.server.text import TextOut, incomplete


@pytest.mark.parametrize("text, answer", [
    (b"", False), (b"a", False), ("é".encode(), False), ("é".encode()[:1], True), ("€".encode()[:2], True),
    ("€".encode(), False), ("😀".encode()[:3], True), ("😀".encode(), False), (b"\x80", False), (b"\xff", False),
    (b"a\x80\x80\x80\x80", False), (b"\xf0", True)])
def test_incomplete(text, answer):
    assert incomplete(text) is answer


def chunks(pieces, stop=()):
    out = TextOut([word.encode() for word in stop])
    sent = []
    for piece in pieces:
        sent.append(out.add(piece.encode() if isinstance(piece, str) else piece)[1])
        if out.stopped:
            break
    return [chunk.decode("utf-8", "replace") for chunk in sent], out


def test_pieces_go_out_at_once():
    assert chunks(["a", " b", "c"])[0] == ["a", " b", "c"]


def test_characters_are_kept_together():
    assert chunks(["😀".encode()[:2], "😀".encode()[2:], "x"])[0] == ["", "😀", "x"]


def test_a_beginning_of_a_stop_word_is_held_back_with_the_whole_tail():
    sent, out = chunks(["one u", "s", "e"], ["user"])
    assert sent == ["", "", ""] and out.flush() == b"one use"
    assert chunks(["one u", "p"], ["user"])[0] == ["", "one up"]


def test_a_stop_word_ends_the_text():
    sent, out = chunks(["hello us", "er: x"], ["nothing", "user", "lo"])
    assert (sent, out.word, bytes(out.text)) == (["hel"], b"lo", b"hel")
    sent, out = chunks(["hello u", "ser: x"], ["user", "nothing"])
    assert (sent, out.word, bytes(out.text)) == (["", "hello "], b"user", b"hello ")


def test_an_empty_stop_word_stops_at_once():
    sent, out = chunks(["abc"], [""])
    assert out.stopped and sent == [""] and out.text == b""
