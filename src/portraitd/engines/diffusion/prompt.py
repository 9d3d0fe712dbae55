"""A style's `[diffusion]` table, read and checked: what the model is asked to paint."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from portraitd.engines.diffusion.folder import whole_bytes
from portraitd.engines.diffusion.painter import StyleLora
from portraitd.errors import SetupError
from portraitd.styles.catalog import Style

#: Longer texts would be cut by the text encoder's 512 tokens.
LONGEST = 1200
#: A style's LoRA that counts more than this is a typing error.
MOST_WEIGHT = 2.0
#: What prompts call a person that a LoRA was trained on: a word that says nothing by itself. LoRAs answer to no other.
NAME = "ohwx person"


@dataclass(frozen=True)
class StylePrompt:
    """What the style shows, and its choices: clothes, framing, light."""

    prompt: str
    choices: tuple[str, ...]
    #: What the model is taught of the style besides, if anything.
    lora: StyleLora | None = None

    def for_seed(self, seed: int) -> str:
        """The whole prompt. Consecutive seeds are different choices."""
        return f"{self.prompt} {self.choices[seed % len(self.choices)]}"


def read_prompt(style: Style) -> StylePrompt:
    """The style's prompt; raises SetupError naming the style's file and the key."""
    where = f"{style.id}/style.toml: diffusion"
    unknown = set(style.diffusion) - {"prompt", "choices", "lora", "lora_weight"}
    if unknown:
        raise SetupError(f"{where}: unknown keys {sorted(unknown)}")
    choices = style.diffusion.get("choices")
    if not isinstance(choices, list) or not choices:
        raise SetupError(f"{where}.choices: must be a list that is not empty")
    prompt = _text(style.diffusion.get("prompt"), f"{where}.prompt")
    texts = tuple(_text(choice, f"{where}.choices[{i}]") for i, choice in enumerate(choices))
    return StylePrompt(prompt, texts, _lora(style, where))


def _lora(style: Style, where: str) -> StyleLora | None:
    """The style's LoRA, its file whole; whether it fits the model is seen when it is first painted with."""
    name, weight = style.diffusion.get("lora"), style.diffusion.get("lora_weight", 1.0)
    if name is None:
        if "lora_weight" in style.diffusion:
            raise SetupError(f"{where}.lora_weight: there is no lora")
        return None
    # A bare name: what lies elsewhere on the machine is none of a style's business.
    if not isinstance(name, str) or Path(name).name != name or not name.endswith(".safetensors"):
        raise SetupError(f"{where}.lora: must be the name of a .safetensors file in the folder of the style.toml")
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 < weight <= MOST_WEIGHT:
        raise SetupError(f"{where}.lora_weight: must be a number above 0, {MOST_WEIGHT:g} at most")
    path = (style.diffusion_folder or Path()) / name
    try:
        whole_bytes(path)
    except SetupError as error:
        raise SetupError(f"{where}.lora: {error.message}") from error
    return StyleLora(path, float(weight))


def _text(value: object, where: str) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > LONGEST:
        raise SetupError(f"{where}: must be a text of 1 to {LONGEST} characters")
    return value.strip()
