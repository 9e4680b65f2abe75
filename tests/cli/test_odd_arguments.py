from __future__ import annotations

import os

import pytest

ODD = [b"\xff", b"a\xff\nb", "caf\u00e9\u202e".encode(), b"\x1b[31m", b""]
PLACES = [
    ("register", "{}", "gold"),
    ("register", "faces", "{}"),
    ("register", "faces", "gold", "--note", "{}"),
    ("register", "faces", "gold", "--owner", "{}"),
    ("register", "faces", "gold", "--meta", "key={}"),
    ("register", "faces", "gold", "--meta", "{}=value"),
    ("register", "faces", "gold", "--exclude", "{}"),
    ("register", "faces", "gold", "--expect", "{}"),
    ("register", "faces", "gold", "--supersede", "--reason", "{}"),
    ("register", "faces", "gold", "--digest", "{}"),
    ("register", "faces", "gold", "--engine", "{}"),
    ("list", "{}"),
    ("show", "{}"),
    ("show", "faces@{}"),
    ("log", "{}"),
    ("diff", "faces", "{}"),
    ("tag", "faces", "{}"),
    ("withdraw", "faces", "--reason", "{}"),
    ("quarantine", "faces", "--reason", "{}"),
    ("workspace", "init", "{}", "--outputs", "out"),
    ("workspace", "init", "ws", "--outputs", "{}"),
    ("workspace", "show", "{}"),
    ("workspace", "remove", "{}", "--yes"),
    ("mount", "{}", "-w", "ws"),
    ("mount", "faces", "-w", "{}"),
    ("mount", "faces", "-w", "ws", "--as", "{}"),
    ("unmount", "{}", "-w", "ws"),
    ("gate", "--input", "{}"),
    ("gate", "--input", "faces@1", "--output", "{}"),
    ("run", "--input", "faces@1", "--output", "out", "--run-id", "{}", "--", "true"),
    ("run", "--input", "faces@1", "--output", "{}", "--", "true"),
    ("run", "--input", "faces@1", "--output", "out", "--report", "{}", "--", "true"),
    ("run", "--input", "faces@1", "--output", "out", "--", "printf", "%s", "{}"),
    ("run", "--input", "faces@1", "--output", "out", "--", "{}"),
    ("audit", "{}"),
    ("audit", "--level", "{}"),
    ("audit", "--max-age", "{}"),
    ("audit", "--report", "{}"),
    ("findings", "list", "{}"),
    ("findings", "list", "--code", "{}"),
    ("findings", "show", "{}"),
    ("findings", "ack", "{}", "--reason", "r"),
    ("lineage", "{}"),
    ("policy", "check", "{}"),
    ("policy", "explain", "{}"),
    ("list", "--policy", "{}"),
    ("list", "--catalog", "{}"),
    ("catalog", "backup", "{}"),
    ("catalog", "copy", "{}"),
    ("catalog", "events", "--after", "{}"),
    ("list", "--color", "{}"),
    ("{}",),
]


@pytest.mark.parametrize("odd", ODD)
def test_no_argument_makes_dataguard_fail_or_print_raw_bytes(registered, odd):
    for words in PLACES:
        given = [os.fsencode(word).replace(b"{}", odd) for word in words]
        answer = registered.ask(*given)
        assert answer.code not in (1, 13), (given, answer)
        assert "Traceback" not in answer.err, (given, answer)
        if words[0] != "run":  # a job's streams are passed through
            assert not set("\x1b\u202e\udcff") & {*answer.out, *answer.err}, (given, answer)
