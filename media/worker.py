"""A process that looks into files from strangers: `python -m media.worker`, one JSON line in, one out.

It may use so much memory and so much CPU time for a job, and no more: what takes more kills it, and only it.
It ends when whoever started it does.
"""

import json
import resource
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from media.images.limits import BadImage
from media.images.pipeline import make_images
from media.kinds import Kind
from media.videos.limits import BadVideo, Limits
from media.videos.pipeline import cut, look_at

Json = dict[str, Any]

STEP = 0.02
_MEGABYTE = 1024 * 1024


def image(job: Json) -> Json:
    """`source`, `kind`, `folder` → what `make_images` makes."""
    return asdict(make_images(Path(job["source"]), Kind(**job["kind"]), Path(job["folder"])))


def video(job: Json) -> Json:
    """`source`, `kind`, `folder`, `limits` → what `look_at` finds."""
    return asdict(look_at(*_film(job)))


def cutting(job: Json) -> Json:
    """The same → what `cut` makes; says now and then how far it is."""
    told = 0.0

    def tell(done: float) -> None:
        nonlocal told
        if done - told >= STEP:
            told = done
            _say({"progress": round(done, 3)})

    return {"files": [asdict(file) for file in cut(*_film(job), tell)]}


def _film(job: Json) -> tuple[Path, Kind, Path, Limits]:
    return Path(job["source"]), Kind(**job["kind"]), Path(job["folder"]), Limits(**job["limits"])


JOBS: dict[str, Callable[[Json], Json]] = {"image": image, "video": video, "cut": cutting}


def main() -> None:
    """Do jobs until there are no more."""
    memory = int(sys.argv[1]) * _MEGABYTE
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for line in sys.stdin:
        job = json.loads(line)
        _allow_cpu(int(job["cpu_seconds"]))
        _say(_answer(job))


def _say(line: Json) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def _answer(job: Json) -> Json:
    try:
        return {"made": JOBS[job["job"]](job)}
    except (BadImage, BadVideo) as error:
        return {"refused": error.code}
    except MemoryError:
        return {"refused": "too_expensive"}


def _allow_cpu(seconds: int) -> None:
    """So much more than has been used until now."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    limit = int(used.ru_utime + used.ru_stime) + seconds + 1
    resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))


if __name__ == "__main__":
    main()
