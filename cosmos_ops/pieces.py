"""A long video as pieces that overlap, for models that take few frames at once: which frames each piece has."""

from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True)
class Piece:
    """Consecutive frames of a video, counted from 0."""

    start: int
    count: int

    @property
    def end(self) -> int:
        """The first frame after it."""
        return self.start + self.count


def pieces(frame_count: int, *, longest: int = 121, overlap: int = 8) -> tuple[Piece, ...]:
    """As few pieces as cover all frames, of nearly equal length; neighbours share exactly `overlap` frames.

    Raises:
        ValueError: There is no frame, or the overlap is more than a third of the longest piece.
    """
    if frame_count < 1:
        raise ValueError(f"A video of {frame_count} frames cannot be cut; at least one is needed")
    if not 0 <= 3 * overlap <= longest or longest < 1:
        raise ValueError(f"Pieces of {longest} frames cannot overlap by {overlap}; at most a third is possible")
    if frame_count <= longest:
        return (Piece(0, frame_count),)
    number = -((overlap - frame_count) // (longest - overlap))
    # Without its overlap with the next, piece k spans from bounds[k] to bounds[k + 1].
    bounds = [(frame_count - overlap) * k // number for k in range(number + 1)]
    return tuple(Piece(start, end + overlap - start) for start, end in pairwise(bounds))
