"""Sets a host up for a GPU family: prerequisites, workspace, image, model files, a smoke job."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cosmos_ops.checkpoints import DEFAULT_MODES, Checkpoint, checkpoints_for
from cosmos_ops.remote import host_setup
from cosmos_ops.remote.build_context import Context
from cosmos_ops.remote.checkpoint_download import Access, download
from cosmos_ops.remote.checkpoint_news import Progress, size_text
from cosmos_ops.remote.checkpoint_store import look
from cosmos_ops.remote.family_images import FAMILY_IMAGES, FamilyImage, family_context
from cosmos_ops.remote.host_images import find_image, pull
from cosmos_ops.remote.model_sizes import Missing, missing
from cosmos_ops.remote.setup_record import SetupRecord
from cosmos_ops.remote.ssh_host import MODELS, SSHHost
from cosmos_ops.setting_up.prerequisites import check_prerequisites, check_room
from cosmos_ops.setting_up.smoke_requests import smoke_request
from cosmos_ops.setting_up.steps import Note, Say, Steps, Stopwatch, Transfer
from cosmos_ops.smoke import SmokeRequest, run_smoke_job

STEP_COUNT = 6
HUB_HOME = MODELS / "hf"
GIGABYTE = 1_000_000_000
SHORT_COMMIT = 12


@dataclass(frozen=True)
class SetUp:
    """What is asked for."""

    family: str
    modes: tuple[str, ...] = ()
    """What runs will do, which says what model files they need; empty for what most need."""
    image: str = ""
    """An image to take instead of building one."""
    base_image: str = ""
    source_url: str = ""
    has_checkpoints: bool = True
    """Whether model files are brought; without it they must be there, or the smoke job is left out."""


def set_up_family(
    host: SSHHost,
    wanted: SetUp,
    *,
    note: Note,
    say: Say,
    recipe: FamilyImage | None = None,
    manifest: Callable[[str, Sequence[str]], tuple[Checkpoint, ...]] = checkpoints_for,
) -> None:
    """Make a host ready for a GPU family; what is done already is not done again.

    Args:
        host: Where.
        wanted: For what.
        note: Notes the image, once all has worked.
        say: Told what happens.
        recipe: How the image is built; that of the family if none is given.
        manifest: Family and modes to the model files that they need.

    Raises:
        InputError: The family has no such mode, or a source cannot stand in a Dockerfile.
        HostError: The host lacks something, or could not do it.
        ModelError: Model files cannot be had, or the smoke job failed.
    """
    work = _Work(host, wanted, Steps(say, STEP_COUNT), recipe or FAMILY_IMAGES[wanted.family], manifest)
    work.check_and_plan()
    work.make_folders()
    work.bring_image()
    work.bring_models()
    work.try_it()
    work.steps.begin(note(work.image))


class _Work:
    """One set-up on its way."""

    def __init__(
        self,
        host: SSHHost,
        wanted: SetUp,
        steps: Steps,
        recipe: FamilyImage,
        manifest: Callable[[str, Sequence[str]], tuple[Checkpoint, ...]],
    ) -> None:
        self.host = host
        self.wanted = wanted
        self.steps = steps
        self.recipe = recipe.with_sources(base_image=wanted.base_image, source_url=wanted.source_url)
        self.image = wanted.image or recipe.tag
        self.modes = wanted.modes or DEFAULT_MODES[wanted.family]
        self.checkpoints = manifest(wanted.family, self.modes)
        self.access = Access.of(host)

    # 1: prerequisites, and what will come

    def check_and_plan(self) -> None:
        recipe, family = self.recipe, self.wanted.family
        self.steps.begin(f"Prerequisites of {family} on {self.host.name}, driver {recipe.driver_min} or newer ...")
        check_prerequisites(self.host, driver_min=recipe.driver_min, family=family, steps=self.steps)
        image_bytes = 0 if self._has_image() else round(recipe.size_gb * GIGABYTE)
        models = missing(look(self.host, self.checkpoints), self.access) if self.wanted.has_checkpoints else Missing(0, 0)
        self.steps.tell_all(f"image: {self._image_plan(image_bytes)}")
        self.steps.tell_all(f"model files for {', '.join(self.modes)}: {self._models_plan(models)}")
        check_room(self.host, image_bytes=image_bytes, model_bytes=models.size_bytes)

    def _image_plan(self, image_bytes: int) -> str:
        if not image_bytes:
            return f"{self.image} is there already"
        if self.wanted.image:
            return f"{self.image} will be fetched from its registry"
        source = f"{self.recipe.repository} at {self.recipe.commit[:SHORT_COMMIT]}"
        return f"{self.image} will be built from {source} on {self.recipe.base_image}; that needs about {size_text(image_bytes)}"

    def _models_plan(self, models: Missing) -> str:
        if not self.wanted.has_checkpoints:
            return "left out, as asked for"
        if not models.file_count:
            return "all are there already"
        unknown = f"; of {', '.join(models.unknown)} the size is known once the download begins" if models.unknown else ""
        return f"will download {size_text(models.size_bytes)} in {models.file_count} files{unknown}"

    # 2: folders

    def make_folders(self) -> None:
        folder = self.host.workspace / HUB_HOME
        if self.host.exists(HUB_HOME):
            self.steps.begin(f"Workspace: {folder} is there already")
            return
        self.host.transfers.make_folders(folder)
        self.steps.begin(f"Workspace: made {folder}")

    # 3: image

    def bring_image(self) -> None:
        if self._has_image():
            self.steps.begin(f"Image {self.image} is there already")
        elif self.wanted.image:
            self.steps.begin(f"Fetching the image {self.image} ...")
            took = Stopwatch()
            pull(self.host, self.image, on_news=self.steps.tell)
            self.steps.tell(f"fetched in {took}")
        else:
            self._build()

    def _build(self) -> None:
        self.steps.begin(f"Building {self.image} on {self.recipe.base_image}, from {self.recipe.source_url} ...")
        took = Stopwatch()
        with family_context(self.recipe, self.host.spec.environment) as context:
            host_setup.build(self.host, context, self.image, on_line=self.steps.tell, on_sent=_ignore)
        self.steps.tell(f"built in {took}")

    def _has_image(self) -> bool:
        if self.wanted.image:
            return find_image(self.host, self.image) is not None
        with family_context(self.recipe, self.host.spec.environment) as context:
            return self._is_built(context)

    def _is_built(self, context: Context) -> bool:
        return host_setup.is_built(self.host, context, self.image)

    # 4: model files

    def bring_models(self) -> None:
        if not self.wanted.has_checkpoints:
            self.steps.begin("Model files: left out, as asked for")
            return
        self.steps.begin(f"Model files for {', '.join(self.modes)} ...")
        transfer = Transfer(self.steps, "downloaded")

        def progress(now: Progress) -> None:
            transfer.reached(now.done_bytes, now.total_bytes)

        access, steps = self.access, self.steps
        download(self.host, self.checkpoints, image=self.image, access=access, on_news=steps.tell_all, on_progress=progress)
        record = self._record()
        if not set(self.modes) <= set(record.modes):
            record.with_modes(self.modes).write(self.host, self.wanted.family)

    # 5: smoke job

    def try_it(self) -> None:
        request = smoke_request(self.wanted.family, self.modes, gpu_count=max(len(slot) for slot in self.host.spec.slots))
        if request is None:
            self.steps.begin(f"Smoke job: left out, there is none for {', '.join(self.modes)}")
        elif lacking := [one.name for one in look(self.host, self.checkpoints) if one.state != "present"]:
            self.steps.begin(f"Smoke job: left out, {len(lacking)} model files are not there, such as {lacking[0]}")
        elif self._record().smoke == self._tried_with():
            self.steps.begin("Smoke job: completed already with this image, these model files and this driver")
        else:
            self._run(request)

    def _run(self, request: SmokeRequest) -> None:
        self.steps.begin(f"Smoke job: {request.words}, through upload, container and download ...")
        took = Stopwatch()
        frame_count = run_smoke_job(self.host, self.image, request=request, on_news=self.steps.tell)
        self._record().with_smoke(self._tried_with()).write(self.host, self.wanted.family)
        self.steps.tell(f"completed in {took}; {frame_count} frames came home")

    def _record(self) -> SetupRecord:
        return SetupRecord.read(self.host, self.wanted.family)

    def _tried_with(self) -> str:
        """All that a smoke job depends on; after a change of it another one is run."""
        found = find_image(self.host, self.image)
        gpus = sorted({f"{gpu.name} {gpu.driver}" for gpu in self.host.gpus()})
        files = sorted(f"{one.source}/{one.file}" for one in self.checkpoints)
        return json.dumps({"image": found.id if found else "", "gpus": gpus, "files": files})


def _ignore(_count: int) -> None:
    """The context is a few kB."""
