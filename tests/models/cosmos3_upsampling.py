"""Cosmos 3's `cosmos_framework.inference.prompt_upsampling`, simulated: prompts rewritten by a language model behind HTTP."""

import argparse
import json
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .cosmos3_engine import pixels

MODES = ("text2image", "text2video", "image2video", "posttrain_image2video")
IMAGE_MODES = ("image2video", "posttrain_image2video")
RATIOS = ("1,1", "4,3", "3,4", "16,9", "9,16")
REWRITE = "Rewrite this prompt of a {mode} model as one dense paragraph. Keep what it says.\n\n{prompt}"
STRUCTURE = "Turn this caption into one JSON object with the keys of the template.\n{template}\n\n{prompt}"
TEMPLATE = '{"subjects": [], "background_setting": "", "lighting": "", "cinematography": "", "temporal_caption": ""}'


def main(argv: list[str] | None = None) -> int:
    """Rewrite all prompts of a file; nothing is written before the last one has succeeded."""
    parser = _parser()
    args = parser.parse_args(argv)
    if not args.endpoint_url:
        parser.error("--endpoint-url or PROMPT_UPSAMPLER_ENDPOINT_URL is required")
    if args.mode in IMAGE_MODES and not (args.image_url or args.image_list):
        parser.error(f"--image-url or --image-list is required for --mode {args.mode}")
    prompts = [line.strip() for line in Path(args.input).read_text().splitlines() if line.strip()]
    images = _images(args, len(prompts))
    client = Client(args)
    made = [client.upsample(prompt, image) for prompt, image in zip(prompts, images, strict=True)]
    folder = Path(args.output)
    folder.mkdir(parents=True, exist_ok=True)
    for number, upsampled in enumerate(made):
        path = folder / f"prompt_{number}.json"
        path.write_text(json.dumps(upsampled, indent=2, ensure_ascii=False))
        if args.verbose:
            print(f"Saved upsampled prompt to {path}", flush=True)
    return 0


def _parser() -> argparse.ArgumentParser:
    env = os.environ.get
    made = argparse.ArgumentParser("prompt_upsampling")
    made.add_argument("--input", required=True)
    made.add_argument("--output", required=True)
    made.add_argument("--mode", choices=MODES, required=True)
    made.add_argument("--endpoint-url", default=env("PROMPT_UPSAMPLER_ENDPOINT_URL"))
    made.add_argument("--model", default=env("PROMPT_UPSAMPLER_MODEL"))
    made.add_argument("--api-token", default=env("PROMPT_UPSAMPLER_API_TOKEN"))
    made.add_argument("--image-url")
    made.add_argument("--image-list")
    made.add_argument("--prompt-template")
    made.add_argument("--json-template")
    made.add_argument("--resolution", choices=("256", "480", "720", "768"), default="480")
    made.add_argument("--aspect-ratio", choices=RATIOS, default="16,9")
    made.add_argument("--duration", default="5s")
    made.add_argument("--fps", type=int, default=24)
    made.add_argument("--timeout-s", type=float, default=300.0)
    made.add_argument("--max-tokens", type=int, default=8192)
    made.add_argument("--max-retries", type=int, default=5)
    made.add_argument("--retry-base-delay-s", type=float, default=1.0)
    made.add_argument("--temperature", type=float)
    made.add_argument("--top-p", type=float)
    made.add_argument("--top-k", type=int, default=20)
    made.add_argument("--min-p", type=float)
    made.add_argument("--verbose", action="store_true")
    return made


def _images(args: argparse.Namespace, count: int) -> list[str | None]:
    if args.mode not in IMAGE_MODES:
        return [None] * count
    if args.image_url:
        return [args.image_url] * count
    images = [line.strip() for line in Path(args.image_list).read_text().splitlines() if line.strip()]
    if len(images) != count:
        raise ValueError(f"Number of images ({len(images)}) does not match number of prompts ({count})")
    return list(images)


class Client:
    """A client of a chat endpoint in the style of OpenAI."""

    def __init__(self, args: argparse.Namespace) -> None:
        self._args = args
        url = args.endpoint_url.strip().rstrip("/").removesuffix("/chat/completions")
        url = url if url.startswith(("http://", "https://")) else f"https://{url}"
        self._url = url if url.endswith("/v1") else f"{url}/v1"

    def upsample(self, prompt: str, image: str | None) -> dict[str, str]:
        """The prompt as a JSON object in a text: one call rewrites it, one brings it into form."""
        args = self._args
        rewrite = Path(args.prompt_template).read_text() if args.prompt_template else REWRITE
        template = Path(args.json_template).read_text() if args.json_template else TEMPLATE
        rewritten = self._retried(
            lambda: self._chat(rewrite.replace("{mode}", args.mode).replace("{prompt}", prompt), image),
        )
        asked = STRUCTURE.replace("{template}", template).replace("{prompt}", rewritten)
        found = self._retried(lambda: _json_object(self._chat(asked, None)))
        width, height = pixels(args.resolution, args.aspect_ratio)
        found |= {"resolution": {"H": height, "W": width}, "aspect_ratio": args.aspect_ratio}
        if args.mode != "text2image":
            found |= {"duration": args.duration, "fps": args.fps}
        negative = found.pop("negative_prompt", None)
        made = {"prompt": json.dumps(found, ensure_ascii=False)}
        return {**made, "negative_prompt": negative} if isinstance(negative, str) else made

    def _retried(self, call: Callable[[], Any]) -> Any:
        args = self._args
        for attempt in range(args.max_retries):
            try:
                return call()
            except (RuntimeError, ValueError) as error:
                if attempt == args.max_retries - 1:
                    text = f"Prompt upsampler failed to upsample prompt after {args.max_retries} attempts: {error}"
                    raise RuntimeError(text) from error
                time.sleep(args.retry_base_delay_s * 2**attempt)
        raise ValueError("max_retries must be >= 1.")

    def _chat(self, text: str, image: str | None) -> str:
        args = self._args
        content: Any = text
        if image:
            content = [{"type": "text", "text": text}, {"type": "image_url", "image_url": {"url": image}}]
        payload = {
            "model": args.model or self._first_model(),
            "messages": [{"role": "user", "content": content}],
            "max_tokens": args.max_tokens,
        }
        for key in ("temperature", "top_p", "top_k", "min_p"):
            if getattr(args, key) is not None:
                payload[key] = getattr(args, key)
        answer = self._request(f"{self._url}/chat/completions", payload)
        choices = answer.get("choices")
        if not choices:
            raise ValueError("Chat completion response missing choices.")
        said = choices[0].get("message", {}).get("content")
        if not isinstance(said, str) or not said.strip():
            raise ValueError("Chat completion message content is empty or unsupported.")
        return said

    def _first_model(self) -> str:
        models = self._request(f"{self._url}/models").get("data") or []
        if not models:
            raise ValueError("Model list response did not include any model ids.")
        return str(models[0]["id"])

    def _request(self, url: str, payload: dict[str, Any] | None = None) -> dict[str, Any]:
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        if self._args.api_token:
            headers["Authorization"] = f"Bearer {self._args.api_token}"
        data = None if payload is None else json.dumps(payload).encode()
        try:
            with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=self._args.timeout_s) as answer:
                parsed = json.loads(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                raise RuntimeError(f"HTTP {error.code} from {url}: {error.read().decode(errors='replace')[:1000]}") from error
        except OSError as error:
            raise RuntimeError(f"Failed to reach {url}: {error}") from error
        if not isinstance(parsed, dict):
            raise RuntimeError(f"Response from {url} must be a JSON object.")
        return parsed


def _json_object(text: str) -> dict[str, Any]:
    """The JSON object in an answer, which may stand between other words."""
    found = re.search(r"\{.*\}", text, re.DOTALL)
    if found is None:
        raise ValueError("Response does not contain a JSON object.")
    parsed: dict[str, Any] = json.loads(found.group())
    return parsed
