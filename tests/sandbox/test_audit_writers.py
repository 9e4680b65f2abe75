"""Who changed a name, from the text of audit records."""

from __future__ import annotations

import os

from hypothesis import given
from hypothesis import strategies as st

from dataguard.sandbox.auditfields import PROCTITLE, SYSCALL
from dataguard.sandbox.auditwriters import PATH, Writers

KEY, WHEN = b"dataguard-watch-7-8", 1795490654.255
NAMES = st.binary(min_size=1, max_size=40).filter(lambda name: not {0, 47} & {*name})


def quoted(text):
    """A text as the kernel writes it: in quotes, or in hex where it has odd characters."""
    odd = any(byte in b'"' or byte < 0x21 or byte > 0x7E for byte in text)
    return text.hex().upper() if odd else f'"{text.decode()}"'


def happened(writers, *paths, pid=4711, serial=1, key=KEY, kind="CREATE", title=b"touch\0a b"):
    """One call that changed some paths, with the directory of each."""

    def tell(what, said):
        writers.add(what, f"audit(1795490654.255:{serial}): {said}".encode())

    tell(
        SYSCALL,
        f"arch=c000003e syscall=257 success=yes exit=3 items=2 ppid=1 pid={pid} auid=4294967295 "
        'uid=1000 gid=100 euid=0 tty=(none) comm="touch" exe="/usr/bin/touch" '
        f'key="{key.decode()}"',
    )
    writers.add(1307, b'audit(1795490654.255:1): cwd="/gold"')
    for path in paths:
        item = f"name={quoted(os.path.dirname(path) or b'/gold')} inode=2 dev=fe:00 nametype=PARENT"
        tell(PATH, f"item=0 {item} cap_fp=0")
        tell(PATH, f"item=1 name={quoted(path)} inode=3 dev=fe:00 nametype={kind} cap_fp=0")
    tell(PROCTITLE, f"proctitle={title.hex().upper()}")


def test_process_is_known_by_its_number_and_the_name_it_changed():
    writers = Writers(KEY)
    happened(writers, b"/gold/sub/a")
    found = writers.find(4711, b"a", WHEN + 1)
    assert (4711, 1000, "/usr/bin/touch") == (found.pid, found.uid, found.executable)
    assert ("touch", "a b") == found.command


def test_other_numbers_names_and_directories_are_nobodys():
    writers = Writers(KEY)
    happened(writers, b"/gold/sub/a")
    assert [None] * 3 == [
        writers.find(number, name, WHEN)
        for number, name in ((4712, b"a"), (4711, b"b"), (4711, b"sub"))
    ]


def test_rules_of_others_say_nothing():
    writers = Writers(KEY)
    happened(writers, b"a", key=b"dataguard-watch-7-9")
    assert writers.find(4711, b"a", WHEN) is None


def test_what_happened_long_ago_may_have_been_another_process():
    writers = Writers(KEY)
    happened(writers, b"a")
    assert writers.find(4711, b"a", WHEN + 3600) is None


def test_both_names_of_a_rename_are_known():
    writers = Writers(KEY)
    happened(writers, b"old", b"new", title=b"mv")
    assert ["mv"] * 2 == [writers.find(4711, one, WHEN).command[0] for one in (b"old", b"new")]


def test_change_through_a_descriptor_has_no_name():
    writers = Writers(KEY)
    head = b"audit(1795490654.255:1): "
    writers.add(SYSCALL, head + b'pid=4711 uid=0 exe="/bin/x" key="%s"' % KEY)
    writers.add(PATH, head + b"item=0 name=(null) inode=3 nametype=NORMAL")
    assert writers.find(4711, b"(null)", WHEN) is None


def test_what_is_kept_has_an_end(monkeypatch):
    monkeypatch.setattr("dataguard.sandbox.auditwriters._MOST", 3)
    writers = Writers(KEY)
    for number in range(10):
        happened(writers, b"%d" % number, pid=100 + number, serial=number)
    known = [number for number in range(10) if writers.find(100 + number, b"%d" % number, WHEN)]
    assert [7, 8, 9] == known


@given(NAMES)
def test_every_name_is_found(name):
    writers = Writers(KEY)
    happened(writers, b"/gold/" + name)
    assert writers.find(4711, name, WHEN).pid == 4711


@given(st.binary(), st.sampled_from([SYSCALL, PATH, PROCTITLE, 1]))
def test_nonsense_says_nothing(text, kind):
    writers = Writers(KEY)
    for record in (text, KEY + text, b"audit(1.1:1): " + KEY + text):
        writers.add(kind, record)
    assert writers.find(4711, b"a", WHEN) is None
