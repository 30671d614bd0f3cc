"""What happens when the operator leaves: Ctrl-C or a closed terminal at a prompt."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dockseal.lab import Terminal
from dockseal.lab.rehearse import AGAIN, CONFIRM, PASSPHRASE
from faults.cases import SECRET, Case
from faults.results import Attempt

if TYPE_CHECKING:
    from faults.injector import Injector

# In a terminal of its own, which ends with the process `script`; its number and that of the session are kept.
ON_TERMINAL = r"""
printf '%s' "$$" >/opt/faults/terminal
printf -v command '%q ' bash -c 'printf "%s" "$$" >/opt/faults/terminal.session; bash "$@"; exit "$?"' bash "$@"
exec script --quiet --return --flush --command "$command" /dev/null
"""
CLOSE = 'kill -KILL "$(</opt/faults/terminal)"'


def open_terminal(injector: Injector, case: Case) -> Terminal:
    """Run the case's script from its beginning, so that it asks."""
    injector.drive("begin_on_terminal")
    words = [word for word in case.step.words if word not in {*SECRET, "--yes"}]
    script, *_ = case.step.argv()
    return Terminal(injector.host, ["bash", "-c", ON_TERMINAL, "bash", script, *words])


def leave_everywhere(injector: Injector, case: Case, passphrase: str) -> tuple[list[Attempt], int]:
    """Leave at the first prompt, then at the second and so on, until there are no more."""
    attempts: list[Attempt] = []
    prompts = 0
    while leave(injector, case, passphrase, prompts, close=False):
        attempts += injector.drive("end_on_terminal", 2 * prompts + 1, prompts)
        leave(injector, case, passphrase, prompts, close=True)
        attempts += injector.drive("end_on_terminal", 2 * prompts + 2, prompts)
        prompts += 1
    if not prompts:
        attempts.append(Attempt(0, ("it asked nothing",)))
    return attempts, 2 * prompts


def leave(injector: Injector, case: Case, passphrase: str, answered: int, *, close: bool) -> bool:
    """Answer so many prompts and leave at the next one; return False where there is none."""
    terminal = open_terminal(injector, case)
    for number in range(answered + 1):
        asked = terminal.expect(PASSPHRASE, AGAIN, CONFIRM)
        if asked < 0:
            return False
        if number == answered:
            break
        if asked == 2:
            terminal.answer("y")
        else:
            terminal.answer_secretly(passphrase)
    if close:
        injector.host.bash(CLOSE)
    else:
        terminal.interrupt()
    terminal.wait()
    return True
