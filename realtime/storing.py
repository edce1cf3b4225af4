"""Commands for the files of uploads: whether they are where they should be, and moving them elsewhere."""

from typing import Annotated, Literal

import typer

from realtime import terminal
from realtime.bootstrap import Services
from realtime.features.media.schemas.showing import Census, Finding, Usage

StorageType = Literal["mongodb", "disk", "s3"]
ALL: tuple[StorageType, ...] = ("mongodb", "disk", "s3")

Repair = Annotated[bool, typer.Option("--repair", help="Mend what can be mended.")]
Deep = Annotated[bool, typer.Option("--deep", help="Read every byte, and compare what it should be.")]
Target = Annotated[StorageType, typer.Option("--to", help="Where to.")]
Source = Annotated[StorageType | None, typer.Option("--from", help="Only what is there.")]


def fsck(repair: Repair = False, deep: Deep = False) -> None:
    """Compare storages, uploads, and what shows them; ends with 1 when something is left to mend."""
    terminal.run(lambda services: _fsck(services, repair=repair, deep=deep))


async def _fsck(services: Services, *, repair: bool, deep: bool) -> None:
    await services.media.cutter.stop()  # whoever serves does that
    census = await services.media.fsck.run(_say, repair=repair, deep=deep)
    for line in _summary(census):
        typer.echo(line)
    if sum(census.findings.values()) > census.mended:
        raise typer.Exit(1)


def _say(finding: Finding) -> None:
    typer.echo(
        f"{finding.kind:8} {finding.about}: {finding.detail}" + (" [mended]" if finding.mended else "")
    )


def _summary(census: Census) -> list[str]:
    states = ", ".join(f"{count} {state}" for state, count in sorted(census.uploads.items()))
    found = ", ".join(f"{count} {kind}" for kind, count in sorted(census.findings.items()))
    places = [
        f"{kind}: {_usage(census.kept.get(kind))}; uploads tell of {_usage(census.told.get(kind))}"
        for kind in sorted({*census.kept, *census.told})
    ]
    return [
        f"uploads: {states or 'none'}",
        *places,
        f"found: {found or 'nothing'}; mended: {census.mended}",
    ]


def _usage(usage: Usage | None) -> str:
    usage = usage or Usage()
    return f"{usage.files} files, {usage.size} bytes"


def migrate(target: Target, source: Source = None) -> None:
    """Move files to another storage; ends with 1 when something had to stay."""
    sources = (source,) if source is not None else ALL
    terminal.run(lambda services: _migrate(services, target, sources))


async def _migrate(services: Services, target: StorageType, sources: tuple[StorageType, ...]) -> None:
    await services.media.cutter.stop()
    moved = await services.media.mover.run(target, sources, typer.echo)
    typer.echo(f"moved {moved.files} files, {moved.size} bytes, to {target}; {moved.left} uploads are left")
    if moved.left:
        raise typer.Exit(1)
