"""How a command ends: its exit code, and what it says of an error."""

from __future__ import annotations

import errno
from collections.abc import Sequence

from rejse.pipelines.runtime import signals
from rejse.pipelines.store import errors

DATA_FAILED, MISUSE, FAULT, BUSY, INTERRUPTED, TERMINATED = 1, 2, 70, 75, 130, 143
#: Exit code by class of error; named, not imported, because most commands need few of them.
EXIT_CODES = {
    "AnotherWriter": BUSY,
    "BalanceError": DATA_FAILED,
    "AuditError": DATA_FAILED,
    "AuditUnavailableError": MISUSE,
    "NotPublishedError": MISUSE,
    "UnknownJourneyError": MISUSE,
    "InitError": MISUSE,
    "SettingsError": MISUSE,
    "MappingError": MISUSE,
    "SourceError": MISUSE,
    "MisuseError": MISUSE,
    "FileNotFoundError": MISUSE,
    "FileExistsError": MISUSE,
    "IsADirectoryError": MISUSE,
    "NotADirectoryError": MISUSE,
    "PermissionError": MISUSE,
}
#: Exit codes in the words of a line of JSON.
STATUS = {
    DATA_FAILED: "data_failed",
    MISUSE: "misuse",
    BUSY: "another_writer",
    errors.IO_ERROR: "store_failed",
    FAULT: "fault",
    INTERRUPTED: "interrupted",
    TERMINATED: "terminated",
}
#: Set to 1 to see where a fault of this program arose.
TRACEBACK_VARIABLE = "REJSE_TRACEBACK"


def meanings() -> dict[int, str]:
    """What each exit code of a command means, as the documentation lists them."""
    return {
        0: "Published, or nothing new",
        DATA_FAILED: "The data failed: an audit, the balance, a scale that answers contradict",
        MISUSE: "Misuse: wrong arguments, configuration, mapping or SQL",
        FAULT: f"A fault of rejse; with {TRACEBACK_VARIABLE}=1 it shows where",
        errors.IO_ERROR: "The store or its disk failed: no room, nothing may be written, a file"
        " gone or damaged, a log in pieces",
        BUSY: "Another run writes to the store",
        INTERRUPTED: "SIGINT (Ctrl-C)",
        TERMINATED: "SIGTERM",
    }


def code_of(fault: Exception) -> int:
    """Exit code of an error: what it says itself, else by its class."""
    stated = getattr(fault, "exit_code", None)
    if isinstance(stated, int):
        return stated
    if errors.words(fault):
        return errors.IO_ERROR
    if isinstance(fault, OSError) and fault.errno == errno.EROFS:  # no place of the store's
        return MISUSE
    for kind in type(fault).__mro__:
        if kind.__name__ in EXIT_CODES:
            return EXIT_CODES[kind.__name__]
    return FAULT


def ended(fault: BaseException) -> tuple[int, str]:
    """Exit code and words of a command that failed."""
    if signals.received() is not None:  # whatever the work then failed with
        return signals.code(), signals.message()
    if not isinstance(fault, Exception) or type(fault).__name__ == "Abort":
        return INTERRUPTED, signals.message()
    if hasattr(fault, "format_message"):
        return MISUSE, usage(fault)
    code = code_of(fault)
    return code, said(fault, code)


def tell(args: Sequence[str], code: int, message: str) -> None:
    """Print a failure as a line of JSON where the arguments ask for it: a scheduler takes it from
    the end of a log, whichever command it was, also where it could not even be parsed.
    """
    mine = list(args)[: args.index("--")] if "--" in args else args  # what follows is Beam's
    if "--json" in mine:
        from rejse.pipelines.cli.terminal import show_line

        status, told = STATUS.get(code, "fault"), message.removeprefix("rejse: ")
        show_line({"status": status, "exit_code": code, "message": told})


def usage(fault: Exception) -> str:
    """A usage error of the command line in words; of no arguments at all, the help."""
    message = fault.format_message()  # type: ignore[attr-defined]
    context = getattr(fault, "ctx", None)
    if type(fault).__name__ == "NoArgsIsHelpError" or context is None:
        return str(message)
    return f"rejse: {message}\ntry: {context.command_path} --help"


def said(fault: Exception, code: int) -> str:
    """An error in words, for the standard error."""
    if code != FAULT:
        if told := errors.words(fault):
            return f"rejse: {told}"
        if isinstance(fault, OSError) and fault.filename and fault.strerror:
            return f"rejse: {fault.filename}: {fault.strerror.lower()}; name another place"
        return f"rejse: {fault}"
    return (
        f"rejse: {type(fault).__name__}: {fault}\n"
        f"this is a fault of rejse; with {TRACEBACK_VARIABLE}=1 it shows where"
    )
