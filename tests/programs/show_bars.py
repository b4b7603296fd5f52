"""Shows the bar of one task, with a line on each stream meanwhile."""

import sys

from asyncrun.results import Counts
from asyncrun.ui.progress_choice import open_progress

progress = open_progress()
progress.task_started("notes", 2000)
for _ in range(2000):
    progress.advance("notes", Counts(ok=1))
print("a line on stdout")
print("a line on stderr", file=sys.stderr)
progress.task_finished("notes", None)
progress.close()
print(type(progress).__name__)
