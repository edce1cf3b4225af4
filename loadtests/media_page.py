"""The parts of docs/performance.md on uploads and downloads."""

from collections.abc import Sequence

from loadtests.bench import machine, page


def write_memory(megabytes: int, rows: Sequence[tuple[int, float, int, float]]) -> None:
    """Put the memory that uploads take into the page: how many at once, growth, aim, seconds."""
    lines = [f"| {count} | {grown:.1f} | {aim} | {seconds:.1f} |" for count, grown, aim, seconds in rows]
    text = (
        "## Memory of uploads",
        "",
        f"`make upload-load`: uploads of {megabytes} MB that turn out to be no film when all of it is there,",
        f"on {machine.describe()}. What the server's resident memory grew by, at most, while they",
        "came; ten may be under way, the others of a hundred are told `upload_busy`.",
        "",
        "| at once | MB more | aim | seconds |",
        "| --- | --- | --- | --- |",
        *lines,
    )
    page.write_part(page.UPLOADS, "\n".join(text))


def write_speed(about: str, rows: Sequence[tuple[str, float]]) -> None:
    """Put megabytes a second into the page."""
    lines = [f"| {what} | {rate:,.0f} |" for what, rate in rows]
    text = ("## Files", "", about, "", "| | MB/s |", "| --- | --- |", *lines)
    page.write_part(page.FILES, "\n".join(text))
