"""What lies at providers fits a terminal of 80 columns as a table."""

from __future__ import annotations

import pytest

from asyncrun.ui.batches import BatchListing, ListedBatch, render_listing

BATCH = ListedBatch(
    "t" * 20, "batch_1", "summaries", "anthropic", "api.anthropic.com", "m", "waiting", "in_progress", 0.0, 1_000, 211, 3, 0.0927
)


@pytest.mark.parametrize(
    ("width", "lines"),
    [
        (
            120,
            [
                "TAG                   JOB        AT         STATE                  REQUESTS  SUCCEEDED  FAILED     AGE      COST",
                "tttttttttttttttttttt  summaries  anthropic  waiting (in_progress)     1,000        211       3  1m 15s  ~$0.0927",
            ],
        ),
        (
            82,
            [
                "TAG                   JOB        AT         STATE         DONE  FAILED     AGE",
                "tttttttttttttttttttt  summaries  anthropic  waiting  211/1,000       3  1m 15s",
            ],
        ),
        (
            72,
            [
                "TAG                   JOB        STATE         DONE  FAILED     AGE",
                "tttttttttttttttttttt  summaries  waiting  211/1,000       3  1m 15s",
            ],
        ),
        (
            62,
            [
                "TAG                   JOB        STATE         DONE     AGE",
                "tttttttttttttttttttt  summaries  waiting  211/1,000  1m 15s",
            ],
        ),
        (
            58,
            [
                "tttttttttttttttttttt: job summaries, at anthropic, state",
                "  waiting (in_progress), requests 1,000, succeeded 211,",
                "  failed 3, age 1m 15s, cost ~$0.0927",
            ],
        ),
    ],
)
def test_the_table_has_the_columns_that_fit_and_where_none_do_each_batch_is_a_paragraph(width: int, lines: list[str]) -> None:
    assert render_listing(BatchListing((BATCH,)), 75.0, width).splitlines() == lines
