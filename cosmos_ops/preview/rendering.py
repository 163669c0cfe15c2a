"""One picture from the controls of one frame: colours blended by weight, graded by the look, lit, veiled and outlined."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cosmos_ops.media.frames import Picture
from cosmos_ops.preview.look import Look
from cosmos_ops.preview.palette import painted, segment_paint
from cosmos_ops.preview.weather import Drift, Rain, Snow

Floats = NDArray[np.floating[Any]]
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True)
class Settings:
    """What stays the same for all frames of a sample."""

    look: Look
    weights: Mapping[str, float]
    """Weight of each active control, above 0."""
    guidance: float
    """0 leaves the look out, 10 applies it fully."""
    grain: float
    """Multiple of the look's film grain."""
    seed: int
    smoothing_passes: int

    @property
    def strength(self) -> float:
        """Share of the look, 0 to 1: quick at first, so that the default of 5 gives three quarters."""
        return 1 - (1 - self.guidance / 10) ** 2


class Renderer:
    """Renders the frames of one sample in order."""

    def __init__(self, settings: Settings, height_px: int, width_px: int) -> None:
        self._settings, self._look, self._strength = settings, settings.look, settings.strength
        self._grain = settings.look.grain * settings.grain
        self._rng = np.random.default_rng(settings.seed)
        self._size = (height_px, width_px)
        self._rise = np.linspace(0, 1, height_px, dtype=np.float32)[:, None]
        self._across = np.linspace(0, 1, width_px, dtype=np.float32)[None]
        # A light depth control veils the distance only lightly.
        self._depth_share = 0.4 + 0.6 * settings.weights.get("depth", 1.0)
        self._segment_paint = segment_paint(self._look)
        self._tint = self._rng.uniform(0.965, 1.035, 3).astype(np.float32)
        self._light_colours = self._light_field()
        self._sun = self._sun_field()
        self._vignette = self._vignette_field()
        self._rain = Rain(self._rng, self._look.rain)
        self._snow = Snow(self._rng, self._look.snow)
        self._drift = Drift(self._rng)
        self._noise = self._rng.standard_normal((height_px + 64, width_px + 64)).astype(np.float32)

    def render(self, controls: Mapping[str, Picture], seconds: float) -> Picture:
        """The picture at one moment; all controls have the renderer's size."""
        base, sky = self._base(controls)
        luma = base @ _LUMA
        distance = self._distance(controls)
        picture = self._graded(base, luma)
        picture = self._with_sky(picture, luma, sky, controls)
        picture, glow = self._with_lines(picture, controls)
        leaves = np.clip((base[..., 1] - np.maximum(base[..., 0], base[..., 2])) / 0.04, 0, 1)
        lights = self._lights(luma, leaves, sky, distance) + glow
        picture = self._with_haze(picture, distance, sky, seconds)
        picture = self._with_lights(picture, lights)
        picture = self._with_sun(picture)
        picture = self._with_weather(picture, seconds)
        return self._printed(picture)

    def _base(self, controls: Mapping[str, Picture]) -> tuple[Floats, Floats]:
        """Weighted mean of colours and painted segments, shaded by depth; and how much each pixel is sky."""
        weights, layers = self._settings.weights, []
        sky: Floats = np.zeros(self._size, np.float32)
        if "vis" in controls:
            soft = self._smoothed(controls["vis"])
            layers.append((weights["vis"], soft))
            sky = self._guessed_sky(soft)
        if "seg" in controls:
            paint = painted(controls["seg"], self._segment_paint)
            flat = controls["seg"].astype(np.float32) / 255
            layers.append((weights["seg"], flat + self._strength * (paint[..., :3] - flat)))
            sky = _clearer(paint[..., 3], sky)
        if "depth" in controls:
            near = controls["depth"][:, :, 1].astype(np.float32) / 255
            sky = _clearer(np.clip(1 - near / 0.045, 0, 1) * (self._rise < 0.62), sky)
        sky = np.asarray(cv2.blur(sky, (3, 3)), np.float32)
        base = self._mean(layers) if layers else self._paper()
        if "depth" in controls:
            base = base * (1 + weights["depth"] * (self._relief(near) - 1)) if layers else self._clay(near)
        return np.asarray(base, np.float32), np.asarray(sky, np.float32)

    def _mean(self, layers: list[tuple[float, Floats]]) -> Floats:
        total = sum(weight for weight, _ in layers)
        mean = np.zeros((*self._size, 3), np.float32)
        for weight, layer in layers:
            mean += np.float32(weight / total) * layer
        return mean

    def _smoothed(self, picture: Picture) -> Floats:
        smooth = picture
        for _ in range(self._settings.smoothing_passes):
            smooth = np.asarray(cv2.bilateralFilter(smooth, 5, 28, 3), np.uint8)
        return smooth.astype(np.float32) / 255

    def _guessed_sky(self, soft: Floats) -> Floats:
        """Bright, smooth and high in the picture, not redder than blue."""
        small = cv2.resize(soft, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
        luma = small @ _LUMA
        rough = cv2.blur(np.abs(luma - cv2.blur(luma, (5, 5))), (9, 9))
        height = np.linspace(0, 1, luma.shape[0], dtype=np.float32)[:, None]
        bright = np.clip((luma - 0.56) / 0.16, 0, 1) * np.clip((small[..., 2] - small[..., 0] + 0.16) / 0.12, 0, 1)
        guess = bright * np.clip(1.4 - rough * 22, 0, 1) * np.clip((0.56 - height) / 0.12, 0, 1)
        large = cv2.resize(guess.astype(np.float32), self._size[::-1], interpolation=cv2.INTER_LINEAR)
        sharp = np.clip((soft @ _LUMA - 0.50) / 0.14, 0, 1)
        return np.asarray(np.clip(large * 1.3, 0, 1) * sharp, np.float32)

    def _relief(self, near: Floats) -> Floats:
        """Shading by depth: light from above left on every form, a little darker into the middle distance."""
        smooth = cv2.GaussianBlur(near.astype(np.float32), (0, 0), 1.2)
        slope_x, slope_y = cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1)
        relief = np.clip(-1.5 * slope_x - 0.9 * slope_y, -0.20, 0.22)
        return np.asarray((0.88 + 0.22 * np.sqrt(near) + relief)[..., None], np.float32)

    def _clay(self, near: Floats) -> Floats:
        """Matt surfaces that only depth tells of, darker into the distance."""
        tone = (0.16 + 0.62 * np.sqrt(near)[..., None]) * self._relief(near)
        return np.asarray(tone * np.array([1.0, 0.965, 0.92], np.float32), np.float32)

    def _paper(self) -> Floats:
        """The ground of a drawing: the sky of the look, neutral without guidance."""
        top, bottom = np.array(self._look.sky_top, np.float32), np.array(self._look.sky_bottom, np.float32)
        gradient = top + (0.25 + 0.75 * self._rise)[..., None] * (bottom - top)
        # Glowing lines need a dark ground.
        gradient = gradient * (1 - 0.62 * min(self._look.lights, 1.0))
        paper = np.float32(0.94) + np.float32(self._strength) * (gradient - np.float32(0.94))
        return np.broadcast_to(paper, (*self._size, 3)).astype(np.float32)

    def _distance(self, controls: Mapping[str, Picture]) -> Floats:
        """0 near to 1 far: from the depth control, else by height with the horizon above the middle."""
        if "depth" in controls:
            near = controls["depth"][:, :, 1].astype(np.float32) / 255
            return np.asarray((1 - np.sqrt(near)) ** 1.7, np.float32)
        by_height = np.clip(1 - np.abs(self._rise - 0.40) / 0.52, 0, 1) ** 1.6 + np.clip(0.40 - self._rise, 0, 1)
        return np.broadcast_to(np.clip(by_height, 0, 1), self._size).astype(np.float32)

    def _graded(self, base: Floats, luma: Floats) -> Floats:
        look, strength = self._look, np.float32(self._strength)
        grey = luma[..., None]
        graded = grey + np.float32(look.saturation) * (base - grey)
        graded = (graded - 0.5) * np.float32(look.contrast) + 0.5
        bright = np.clip(grey * 1.5, 0, 1)
        graded *= 1 + bright * (np.array(look.highlights, np.float32) * self._tint - 1)
        graded = graded * np.float32(look.exposure) + (1 - bright) * np.array(look.shadows, np.float32)
        return np.asarray(np.clip(base + strength * (graded - base), 0, 1.2), np.float32)

    def _with_sky(self, picture: Floats, luma: Floats, sky: Floats, controls: Mapping[str, Picture]) -> Floats:
        share = self._strength * self._look.sky_share
        if share == 0 or not controls.keys() & {"vis", "depth", "seg"}:
            return picture
        top, bottom = np.array(self._look.sky_top, np.float32), np.array(self._look.sky_bottom, np.float32)
        gradient = top + np.clip(self._rise / 0.46, 0, 1)[..., None] ** 1.3 * (bottom - top)
        # The clouds of the input stay visible in the new sky.
        clouds = 1 + 0.55 * (luma - 0.8)[..., None] if "vis" in controls else np.float32(1)
        return np.asarray(picture + (share * sky)[..., None] * (gradient * clouds - picture), np.float32)

    def _with_lines(self, picture: Floats, controls: Mapping[str, Picture]) -> tuple[Floats, Floats]:
        """Contours: dark ink by day, glowing lines where the look has lights; the glow comes apart, for the bloom."""
        if "edge" not in controls:
            return picture, np.zeros_like(picture)
        lines = cv2.GaussianBlur(controls["edge"][:, :, 1], (3, 3), 0.55).astype(np.float32) / 255
        opacity = np.clip(lines * 1.25, 0, 1) * np.float32(self._settings.weights["edge"])
        glowing = min(self._look.lights, 1.0) * self._strength
        ink = self._strength * np.array(self._look.ink, np.float32) + (1 - self._strength) * np.float32(0.05)
        inked = picture + (opacity * (0.86 - 0.5 * glowing))[..., None] * (ink - picture)
        return np.asarray(inked, np.float32), (1.05 * glowing * opacity)[..., None] * self._light_colours

    def _lights(self, luma: Floats, leaves: Floats, sky: Floats, distance: Floats) -> Floats:
        """Panes and lamps: what differs from its surroundings, above the street and not in the sky, shines."""
        amount = self._look.lights * self._strength
        if amount == 0:
            return np.zeros((*self._size, 3), np.float32)
        luma = luma.astype(np.float32)
        differs = luma - self._bloom(luma, 1 / 22)
        # Panes are darker or lighter than their wall; the light ones count for more.
        shining = np.clip((np.where(differs > 0, 1.25, 0.8) * np.abs(differs) - 0.035) / 0.10, 0, 1)
        shining *= (1 - sky) * np.clip((0.80 - self._rise) / 0.25, 0.22, 1) * (1 - 0.9 * leaves)
        shining *= np.clip(1.3 - distance, 0.3, 1)
        return np.asarray((amount * shining)[..., None] * self._light_colours, np.float32)

    def _with_lights(self, picture: Floats, lights: Floats) -> Floats:
        if self._look.lights == 0 or self._strength == 0:
            return picture
        bloom = self._bloom(lights, 1 / 34) * 0.8 + self._bloom(lights, 1 / 9) * 0.65
        picture = picture + lights * (0.80 - 0.40 * np.clip(picture, 0, 1)) + bloom
        if self._look.rain > 0:
            picture = picture + self._mirrored_on_the_road(bloom + 0.5 * lights)
        return np.asarray(picture, np.float32)

    def _bloom(self, lights: Floats, radius: float) -> Floats:
        """A wide blur, computed at a quarter of the size."""
        small = cv2.resize(lights, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
        wide = cv2.GaussianBlur(small, (0, 0), max(0.5, self._size[0] * radius / 4))
        return np.asarray(cv2.resize(wide, self._size[::-1], interpolation=cv2.INTER_LINEAR), np.float32)

    def _mirrored_on_the_road(self, lights: Floats) -> Floats:
        """Wet ground mirrors what is above it, drawn out downwards."""
        small = cv2.resize(lights, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        height = small.shape[0]
        flipped = np.roll(small[::-1], height // 10, axis=0)
        streaks = cv2.blur(flipped, (3, max(3, height // 4)))
        wet = np.clip((self._rise - 0.5) / 0.25, 0, 1)[..., None]
        return np.asarray(0.85 * wet * cv2.resize(streaks, self._size[::-1], interpolation=cv2.INTER_LINEAR), np.float32)

    def _with_haze(self, picture: Floats, distance: Floats, sky: Floats, seconds: float) -> Floats:
        amount = self._look.haze_amount * self._strength * self._depth_share
        reach = 1.2 - 0.55 * self._look.haze_amount
        veil = amount * np.clip(distance, 0, 1) ** reach * (1 - 0.55 * sky)
        if self._look.haze_amount > 0.5:
            veil = veil * self._drift.overlay(seconds, *self._size)
        haze = np.array(self._look.haze, np.float32) * self._tint
        return np.asarray(picture + np.clip(veil, 0, 0.97)[..., None] * (haze - picture), np.float32)

    def _with_sun(self, picture: Floats) -> Floats:
        if self._look.sun == 0 or self._strength == 0:
            return picture
        glow = (self._look.sun * self._strength * self._sun)[..., None] * np.array(self._look.sun_colour, np.float32)
        # Screen blending never clips.
        return np.asarray(1 - (1 - np.clip(picture, 0, 1)) * (1 - np.clip(glow, 0, 1)), np.float32)

    def _with_weather(self, picture: Floats, seconds: float) -> Floats:
        if self._strength == 0:
            return picture
        if self._look.rain > 0:
            streaks = self._rain.overlay(seconds, *self._size)[..., None]
            shade = 0.30 + 0.5 * picture.mean(axis=2, keepdims=True)
            picture = picture + self._strength * streaks * shade * np.array([0.86, 0.94, 1.0], np.float32)
        if self._look.snow > 0:
            flakes = self._snow.overlay(seconds, *self._size)[..., None]
            light = np.float32(0.55 + 0.45 * min(1.0, self._look.exposure))
            picture = picture + self._strength * flakes * (light - picture)
        return np.asarray(picture, np.float32)

    def _printed(self, picture: Floats) -> Picture:
        """The last step: black and white, vignette, film grain, 8 bits."""
        look, strength = self._look, self._strength
        if look.monochrome > 0 and strength > 0:
            grey = (picture @ _LUMA)[..., None] * np.array(look.tone, np.float32)
            picture = picture + np.float32(min(1.0, 1.35 * look.monochrome * strength)) * (grey - picture)
        top, left = self._rng.integers(0, 64, 2)
        noise = self._noise[top : top + self._size[0], left : left + self._size[1]]
        picture = picture * self._vignette + (self._grain * strength * noise)[..., None]
        return np.asarray(np.clip(picture * 255 + 0.5, 0, 255), np.uint8)

    def _light_field(self) -> Floats:
        """Which colour lights have where: the three colours of the look in soft patches."""
        phase = self._rng.uniform(0, 6.28, 4)
        colours = np.array(self._look.light_colours, np.float32)
        first = 0.5 + 0.5 * np.sin(9 * self._across + 4 * self._rise + phase[0]) * np.cos(7 * self._rise + phase[1])
        second = 0.5 + 0.5 * np.sin(13 * self._across - 6 * self._rise + phase[2])
        mixed = first[..., None] * colours[0] + (1 - first)[..., None] * colours[1]
        share = np.clip(1.6 * second - 0.6, 0, 1)[..., None]
        return np.asarray(mixed + share * (colours[2] - mixed), np.float32)

    def _sun_field(self) -> Floats:
        """Glow around a low sun near the horizon, a little elsewhere for every seed."""
        x, y = 0.5 + float(self._rng.uniform(-0.10, 0.10)), 0.36
        aspect = self._size[1] / self._size[0]
        away = np.sqrt(((self._across - x) * aspect) ** 2 + (self._rise - y) ** 2)
        return np.asarray(0.80 * np.exp(-((away / 0.10) ** 2)) + 0.46 * np.exp(-((away / 0.48) ** 1.5)), np.float32)

    def _vignette_field(self) -> Floats:
        away = ((self._across - 0.5) ** 2 + (self._rise - 0.5) ** 2) * 2
        return np.asarray(1 - self._look.vignette * self._strength * away**1.4, np.float32)[..., None]


def _clearer(told: Floats, guessed: Floats) -> Floats:
    """The sky that a control tells of; a control without any (computed ones know none) leaves the guess."""
    return np.asarray(told if told.mean() > 0.002 else guessed, np.float32)
