"""`asyncrun plugins`: what is installed, and which distribution brings it."""

from __future__ import annotations

from asyncrun.cli._flags_and_completion import GlobalOptions


def plugins(options: GlobalOptions) -> int:
    """List what can be named, by distribution. Imports what plugins bring, and says what cannot be used and why.

    Example: asyncrun plugins --json
    """
    from asyncrun import __version__, registry
    from asyncrun.cli._output import print_answer, print_document
    from asyncrun.ui.cron_and_plugins import plugins_document, render_plugins

    offers = registry.offers(__version__)
    if options.json:
        print_document(plugins_document(offers))
    else:
        print_answer(render_plugins(offers), sentences=True)
    return 0
