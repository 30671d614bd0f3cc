"""Facts about reading a trace: what counts as a change, and where a relative path leads."""

from __future__ import annotations

import pytest

from tests.host.traces import LISTENS, changed_paths, printed


@pytest.mark.parametrize(
    ("line", "changed"),
    [
        ('7 openat(AT_FDCWD</root>, "a", O_WRONLY|O_CREAT|O_TRUNC, 0666) = 3</root/a>', {"/root/a"}),
        ('7 openat(AT_FDCWD</root>, "/etc/passwd", O_RDONLY|O_CLOEXEC) = 3</etc/passwd>', set()),
        ('7 openat(AT_FDCWD</root>, "/b", O_RDWR) = -1 ENOENT (No such file or directory)', set()),
        ('7 openat(AT_FDCWD</root>, "/dev/null", O_WRONLY|O_CREAT, 0666) = 3</dev/null>', set()),
        ('7 rename("/x/a.new", "/x/a") = 0', {"/x/a.new", "/x/a"}),
        (
            '7 renameat2(AT_FDCWD</root>, "a.new", AT_FDCWD</root>, "a", RENAME_NOREPLACE) = 0',
            {"/root/a.new", "/root/a"},
        ),
        ('7 unlinkat(4</srv>, "a", 0) = 0', {"/srv/a"}),
        ('7 symlink("tls-1", "/etc/tls") = 0', {"/etc/tls"}),
        ('7 symlinkat("tls-1", AT_FDCWD</root>, "/etc/tls") = 0', {"/etc/tls"}),
        ("7 fchmod(3</srv/a>, 0644) = 0", {"/srv/a"}),
        ("7 listen(5<TCP:[127.0.0.1:40000]>, 128) = 0", {LISTENS}),
        ('7 chdir("/srv") = 0\n7 mkdir("a", 0700) = 0', {"/srv/a"}),
        ('7 chdir("/srv") = 0\n7 clone(child_stack=NULL) = 8\n8 mkdir("a", 0700) = 0', {"/srv/a"}),
        ('7 mkdir("/srv/a", 0700 <unfinished ...>\n8 rmdir("/b") = 0\n7 <... mkdir resumed>) = 0', {"/srv/a", "/b"}),
    ],
)
def test_what_a_trace_shows_to_be_changed(line: str, changed: set[str]) -> None:
    assert set(changed_paths(line)) == changed


def test_a_printed_command_comes_with_the_text_of_its_file() -> None:
    said = "a note\n+ cat >f <<'END'\n+ text\nEND\n+ sync -- f\n"
    assert printed(said, "+ ") == ["cat >f <<'END'\n+ text\nEND", "sync -- f"]
