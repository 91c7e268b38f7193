"""What a million rows cost to keep: bytes by place, and a price by the formula that stands here.

    USD a month = GB in memory x its price + GB on disk x its price + GB on S3 x its price

The default prices are an assumption, in USD per GB and month: memory as in a memory-optimised
virtual machine of a large cloud on demand, disk as its network SSD, S3 as its standard class. Only
how they relate matters to the comparison; --price-memory, --price-disk and --price-s3 change them.
"""

from dataclasses import dataclass
from typing import Any

from rivals.findings import Findings, Footprint

PRICE_MEMORY, PRICE_DISK, PRICE_S3 = 4.90, 0.08, 0.023


@dataclass
class Place:
    """Bytes a row in each place."""

    name: str
    memory: float
    disk: float
    s3: float

    def price(self, args: Any) -> float:
        """USD a month for a million rows."""
        prices = (args.price_memory, args.price_disk, args.price_s3)
        bytes_by_place = (self.memory, self.disk, self.s3)
        return sum(b * p for b, p in zip(bytes_by_place, prices, strict=True)) * 1e6 / 1e9


def ways(mark: Footprint) -> list[Place]:
    """How a rival keeps its rows; ours in three ways, as a cache may be smaller than the truth."""
    memory, disk = mark.memory_bytes / mark.rows, mark.disk_bytes / mark.rows
    if mark.rival != "fletching":
        return [Place(mark.rival, memory, disk, 0)]
    # What it maps is the files themselves: in memory as far as there is room.
    return [
        Place("fletching, all in memory", memory + disk, disk, 0),
        Place("fletching, a quarter in memory", memory + disk / 4, disk, 0),
        Place(
            "fletching, a quarter in memory, half on disk, truth on S3",
            memory + disk / 4,
            disk / 2,
            disk,
        ),
    ]


def places(findings: Findings) -> list[Place]:
    """Ours first, then the rivals as they were measured."""
    marks = sorted(findings.footprints, key=lambda mark: mark.rival != "fletching")
    return [place for mark in marks for place in ways(mark)]


def cost_table(findings: Findings, args: Any) -> list[str]:
    """Markdown. Prices beside Redis blobs, where those were measured."""
    all_places = places(findings)
    if not all_places:
        return []
    redis = next((p.price(args) for p in all_places if p.name == "redis_blobs"), None)
    lines = [
        "| MB per million rows | memory | disk | S3 | USD a month | beside Redis blobs |",
        "|---|---|---|---|---|---|",
    ]
    for place in all_places:
        price = place.price(args)
        beside = "" if redis is None else f"{price / redis:.2f} x"
        sizes = " | ".join(f"{size:,.0f}" for size in (place.memory, place.disk, place.s3))
        lines.append(f"| {place.name} | {sizes} | {price:.3f} | {beside} |")
    prices = (
        f"USD a month = GB in memory x {args.price_memory:.2f} + GB on disk x {args.price_disk:.3f}"
        f" + GB on S3 x {args.price_s3:.3f}:"
    )
    lines += [
        "",
        prices,
        "assumed prices per GB and month of a large cloud, changed by `--price-memory`,"
        " `--price-disk`, `--price-s3`.",
        "Memory is what the loaded process has beyond an empty one.",
    ]
    return lines
