"""Exit codes of commands, and messages of errors."""

from __future__ import annotations

import errno
from collections.abc import Sequence

from rejse.pipelines.runtime import signals as interruption
from rejse.pipelines.store import errors as damage
from rejse.transforms.errors import BRANCHES, DataError, MisuseError, RejseError, StoreError

DATA_FAILED, MISUSE, FAULT = DataError.exit_code, MisuseError.exit_code, RejseError.exit_code
INTERRUPTED, TERMINATED = 130, 143
#: Errors of Python that mean a wrong path was given.
WRONG_PATH = (
    FileNotFoundError,
    FileExistsError,
    IsADirectoryError,
    NotADirectoryError,
    PermissionError,
)
#: Exit codes in the words of a line of JSON.
STATUS = {
    **{branch.exit_code: branch.status for branch in BRANCHES},
    INTERRUPTED: "interrupted",
    TERMINATED: "terminated",
}
#: Set to 1 to see where a fault of this program arose.
TRACEBACK_VARIABLE = "REJSE_TRACEBACK"


def meanings() -> dict[int, str]:
    """Return the meaning of each exit code, as documentation and `--help` list them."""
    errors = {
        branch.exit_code: str(branch.__doc__).partition("\n")[0].rstrip(".") for branch in BRANCHES
    }
    signals = {INTERRUPTED: "SIGINT (Ctrl-C)", TERMINATED: "SIGTERM"}
    return dict(sorted({0: "Published, or nothing new", **errors, **signals}.items()))


def code_of(fault: Exception) -> int:
    """Return the exit code of an error: its branch's, else by the error of Python or a library."""
    if isinstance(fault, RejseError):
        return fault.exit_code
    if damage.words(fault):
        return StoreError.exit_code
    is_read_only = isinstance(fault, OSError) and fault.errno == errno.EROFS  # not the store's
    return MISUSE if is_read_only or isinstance(fault, WRONG_PATH) else FAULT


def ended(fault: BaseException) -> tuple[int, str]:
    """Return the exit code and the message of a command that failed."""
    if interruption.received() is not None:  # whatever the work then failed with
        return interruption.code(), interruption.message()
    if not isinstance(fault, Exception) or type(fault).__name__ == "Abort":
        return INTERRUPTED, interruption.message()
    if hasattr(fault, "format_message"):
        return MISUSE, usage(fault)
    code = code_of(fault)
    return code, message_of(fault, code)


def tell(args: Sequence[str], code: int, message: str) -> None:
    """Print a failure as a line of JSON where the arguments ask for it.

    A scheduler takes it from the end of a log, also where the command could not be parsed.
    """
    own = list(args)[: args.index("--")] if "--" in args else args  # what follows is Beam's
    if "--json" in own:
        from rejse.pipelines.cli.terminal import show_line

        status, text = STATUS.get(code, "fault"), message.removeprefix("rejse: ")
        show_line({"status": status, "exit_code": code, "message": text})


def usage(fault: Exception) -> str:
    """Return the message of a usage error; the help where there are no arguments."""
    message = fault.format_message()  # type: ignore[attr-defined]
    context = getattr(fault, "ctx", None)
    if type(fault).__name__ == "NoArgsIsHelpError" or context is None:
        return str(message)
    return f"rejse: {message}\ntry: {context.command_path} --help"


def message_of(fault: Exception, code: int) -> str:
    """Return the message of an error for the standard error."""
    if code != FAULT:
        if words := damage.words(fault):
            return f"rejse: {words}"
        if isinstance(fault, OSError) and fault.filename and fault.strerror:
            return f"rejse: {fault.filename}: {fault.strerror.lower()}; name another place"
        return f"rejse: {fault}"
    return (
        f"rejse: {type(fault).__name__}: {fault}\n"
        f"this is a fault of rejse; with {TRACEBACK_VARIABLE}=1 it shows where"
    )
