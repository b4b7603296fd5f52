"""`asyncrun schema`: the job file's language, for editors and other programs."""

from __future__ import annotations

from asyncrun.cli._flags_and_completion import GlobalOptions


def schema(options: GlobalOptions) -> int:
    """Print the JSON Schema of the job file. An editor completes and checks with it.

    Example: asyncrun schema > asyncrun.schema.json
    """
    from asyncrun.app.init import render_schema
    from asyncrun.cli._output import print_answer

    print_answer(render_schema())
    return 0
